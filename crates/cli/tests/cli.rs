//! The binary as scripts meet it: exit codes, streams, languages.

use std::process::{Command, Output, Stdio};

fn khien(arguments: &[&str], locale: &str) -> Output {
    command(arguments, locale).output().expect("the binary runs")
}

fn command(arguments: &[&str], locale: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_khien"));
    command.args(arguments).env_remove("LC_MESSAGES").env_remove("LANG").env("LC_ALL", locale).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("messages are UTF-8")
}

#[test]
fn help_goes_to_standard_output_in_the_language_of_the_locale() {
    for (arguments, locale, begins) in [
        (&["--help"][..], "vi_VN.UTF-8", "Khiên: tìm dấu hiệu tấn công"),
        (&["--help"], "en_US.UTF-8", "Khiên: finds signs of attacks"),
        (&["--help"], "C", "Khiên: tìm dấu hiệu tấn công"),
        (&["--help", "--lang", "en"], "vi_VN", "Khiên: finds signs of attacks"),
        (&["rules", "check", "-h", "--lang=vi"], "en", "Kiểm tra luật"),
    ] {
        let output = khien(arguments, locale);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(text(&output.stdout).starts_with(begins), "{arguments:?} {locale}");
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for (arguments, says) in [
        (&["detect"][..], "error: --rules <PATH>..."),
        (&["detect", "--rules", "r"], "error: <INPUT> is missing"),
        (&["detekt"], "error: there is no command detekt"),
        (&["detect", "x", "--rules", "r", "--output", "xml"], "error: 'xml' is not a value of --output"),
        (&["--lang", "fr"], "error: 'fr' is not a value of --lang"),
        (&["rules"], "Checks, lists, packs"),
        (&[], "Khiên: finds signs of attacks"),
    ] {
        let output = khien(arguments, "en");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).starts_with(says), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn nothing_to_read_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_string_lossy().into_owned();
    let output = khien(&["detect", &path, "--rules", "r"], "en");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(text(&output.stderr), "error: there is nothing to read\n");
    let output = khien(&["detect", &format!("{path}/*.evtx"), "--rules", "r", "--lang", "vi"], "en");
    assert!(text(&output.stderr).starts_with("chú ý: không có tệp nào khớp với"));
}

#[test]
fn the_version_is_told() {
    let output = khien(&["--version"], "en");
    assert_eq!(text(&output.stdout), concat!("khien ", env!("CARGO_PKG_VERSION"), "\n"));
}
