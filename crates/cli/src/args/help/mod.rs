//! What `--help` says, in both languages.

use clap::{Arg, ArgAction, Command};

use crate::text::Text;

mod arguments;
mod commands;

use arguments::ARGUMENTS;
use commands::COMMANDS;

/// Help of one command.
struct CommandHelp {
    /// Names from the root, joined by a space.
    path: &'static str,
    /// One sentence, Vietnamese and English.
    about: [&'static str; 2],
    /// What stands after the name in the usage line.
    usage: [&'static str; 2],
    /// Examples and notes.
    after: [&'static str; 2],
}

/// Help of one argument.
struct ArgumentHelp {
    /// Last name of the command, or `*` for arguments that mean the same everywhere.
    command: &'static str,
    /// Id of the argument.
    id: &'static str,
    /// Name of its value, Vietnamese and English; empty for a switch.
    value: [&'static str; 2],
    /// What it does.
    help: [&'static str; 2],
}

const EXIT_CODES: [&str; 2] = [
    "Mã thoát: 0 xong · 1 có phát hiện từ mức --fail-on · 2 sai cách dùng · 3 lỗi dữ liệu · 130 bị dừng",
    "Exit codes: 0 done · 1 findings of the --fail-on level · 2 usage · 3 data error · 130 stopped",
];

/// The help of argument `id` of the command called `command`.
fn of_argument(command: &str, id: &str) -> Option<&'static ArgumentHelp> {
    let named = |name: &str| ARGUMENTS.iter().find(|a| a.command == name && a.id == id);
    named(command).or_else(|| named("*"))
}

/// `command` with every text in the language of `text`.
pub fn localise(command: Command, text: Text) -> Command {
    let root = command.get_name().to_owned();
    localise_at(command, &root, text)
}

fn localise_at(command: Command, path: &str, text: Text) -> Command {
    let name = command.get_name().to_owned();
    let is_root = path == name;
    let mut command = command
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .subcommand_help_heading(text.commands())
        .arg(Arg::new("help").short('h').long("help").action(ArgAction::Help));
    if is_root {
        command = command.arg(Arg::new("version").short('V').long("version").action(ArgAction::Version));
    }
    command = describe(command, path, text);
    let mut order = 0;
    command = command.mut_args(|argument| {
        order += 1;
        let order = if is_everywhere(&argument) { LAST + order } else { order };
        describe_argument(argument, &name, text).display_order(order)
    });
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    for sub in names {
        let below = format!("{path} {sub}");
        command = command.mut_subcommand(sub, |c| localise_at(c, &below, text));
    }
    command
}

/// Where the arguments stand in help that every command has: after its own.
const LAST: usize = 1_000;

fn is_everywhere(argument: &Arg) -> bool {
    argument.is_global_set() || matches!(argument.get_id().as_str(), "help" | "version")
}

/// Sets what the help of a command says beside its arguments.
fn describe(command: Command, path: &str, text: Text) -> Command {
    let Some(help) = COMMANDS.iter().find(|c| c.path == path) else {
        return command;
    };
    let pick = |texts: [&'static str; 2]| text.0.pick(texts[0], texts[1]);
    let notes = match (pick(help.after), path) {
        (after, "khien detect") => format!("{after}\n\n{}", pick(EXIT_CODES)),
        (after, _) => after.to_owned(),
    };
    command
        .about(pick(help.about))
        .override_usage(format!("{path} {}", pick(help.usage)))
        .after_help(notes)
        .help_template(format!("{{about}}\n\n{} {{usage}}\n\n{{all-args}}{{after-help}}\n", text.usage()))
}

fn describe_argument(argument: Arg, command: &str, text: Text) -> Arg {
    let Some(help) = of_argument(command, argument.get_id().as_str()) else {
        return argument;
    };
    let pick = |texts: [&'static str; 2]| text.0.pick(texts[0], texts[1]);
    let heading = if argument.is_positional() {
        text.0.pick("Đối số", "Arguments")
    } else {
        text.0.pick("Tùy chọn", "Options")
    };
    let described = argument.help(pick(help.help)).help_heading(heading);
    if pick(help.value).is_empty() {
        return described;
    }
    // Clap would say both in English; the help texts say them.
    described.value_name(pick(help.value)).hide_default_value(true).hide_possible_values(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::CommandFactory as _;
    use khien_base::lang::Lang;

    fn walk(command: &Command, path: &str, see: &mut impl FnMut(&Command, &str)) {
        see(command, path);
        for sub in command.get_subcommands() {
            walk(sub, &format!("{path} {}", sub.get_name()), see);
        }
    }

    #[test]
    fn every_command_and_argument_has_help_in_both_languages() {
        walk(&Cli::command(), "khien", &mut |command, path| {
            let help = COMMANDS.iter().find(|c| c.path == path);
            let help = help.unwrap_or_else(|| panic!("no help for {path}"));
            assert!(help.about.iter().chain(&help.usage).all(|t| !t.is_empty()), "{path}");
            for argument in command.get_arguments() {
                let id = argument.get_id().as_str();
                let help = of_argument(command.get_name(), id);
                let help = help.unwrap_or_else(|| panic!("no help for {path} {id}"));
                assert!(help.help.iter().all(|t| !t.is_empty()), "{path} {id}");
                assert_eq!(help.value[0].is_empty(), help.value[1].is_empty(), "{path} {id}");
                let takes_value = argument.get_action().takes_values();
                assert_eq!(takes_value, !help.value[1].is_empty(), "{path} {id}");
            }
        });
    }

    #[test]
    fn help_lists_every_value_that_is_accepted() {
        walk(&Cli::command(), "khien", &mut |command, path| {
            for argument in command.get_arguments() {
                let values = argument.get_possible_values();
                if values.len() < 2 || !argument.get_action().takes_values() {
                    continue;
                }
                let id = argument.get_id().as_str();
                if id == "fail_on" {
                    continue; // The same as `level`, which lists them.
                }
                let help = of_argument(command.get_name(), id).unwrap();
                for value in values {
                    for text in help.help {
                        assert!(text.contains(value.get_name()), "{path} {id}: {}", value.get_name());
                    }
                }
            }
        });
    }

    #[test]
    fn the_command_is_well_formed_in_both_languages() {
        for lang in [Lang::Vi, Lang::En] {
            localise(Cli::command(), Text(lang)).debug_assert();
        }
    }

    fn rendered(lang: Lang, path: &[&str]) -> String {
        let mut command = localise(Cli::command(), Text(lang)).term_width(100);
        command.build();
        let mut at = &mut command;
        for name in path {
            at = at.find_subcommand_mut(name).unwrap();
        }
        at.render_help().to_string()
    }

    #[test]
    fn help_reads_well() {
        for (lang, language) in [(Lang::Vi, "vi"), (Lang::En, "en")] {
            for path in [&[][..], &["detect"], &["rules"], &["rules", "check"], &["rules", "explain"]] {
                let name = format!("help_{language}_{}", path.join("_"));
                insta::assert_snapshot!(name, rendered(lang, path));
            }
        }
    }
}
