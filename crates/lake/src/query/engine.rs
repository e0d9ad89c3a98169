//! What the engine is taught beside what it knows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::datatypes::{DataType, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{JoinType, Result};
use datafusion::functions::datetime::date_trunc;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

/// The engine's rules with ours where they belong.
pub(super) fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let behind = rules.iter().position(|rule| rule.name() == "join_selection").map_or(0, |at| at + 1);
    rules.insert(behind, Arc::new(UnknownSideFirst));
    rules
}

/// Rows from which a side of a join is taken to be the larger one.
const MANY_ROWS: usize = 100_000;

/// A join whose one side is a table with many rows, while nobody knows how many the other has, looks up the rows of the
/// table in the other: of events there are more than of whatever they are joined with. The engine itself only changes
/// sides when it knows both.
#[derive(Debug)]
struct UnknownSideFirst;

impl PhysicalOptimizerRule for UnknownSideFirst {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(Transformed::no(node)) };
            let rows = |side: &Arc<dyn ExecutionPlan>| {
                let found = StatisticsContext::new().compute(side.as_ref(), &StatisticsArgs::new());
                found.map(|statistics| statistics.num_rows.get_value().copied())
            };
            let many = rows(join.left())?.is_some_and(|rows| rows >= MANY_ROWS);
            if *join.join_type() != JoinType::Inner || !many || rows(join.right())?.is_some() {
                return Ok(Transformed::no(node));
            }
            Ok(Transformed::yes(join.swap_inputs(PartitionMode::CollectLeft)?))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "unknown_side_first"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// `date_trunc`, which the engine works out with a calendar of time zones for each value that has one; our times are UTC,
/// where arithmetic does.
pub(super) fn quick_date_trunc() -> ScalarUDF {
    ScalarUDF::new_from_impl(DateTrunc(date_trunc()))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DateTrunc(Arc<ScalarUDF>);

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.0.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.0.return_field_from_args(arguments)
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone = match arguments.args.get(1) {
            Some(ColumnarValue::Array(times)) => match times.data_type() {
                DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => zone.clone(),
                _ => return self.0.invoke_with_args(arguments),
            },
            _ => return self.0.invoke_with_args(arguments),
        };
        if let Some(ColumnarValue::Array(times)) = arguments.args.get_mut(1) {
            *times = Arc::new(times.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(None::<&str>));
        }
        let plain = DataType::Timestamp(TimeUnit::Microsecond, None);
        arguments.return_field = Arc::new(arguments.return_field.as_ref().clone().with_data_type(plain.clone()));
        if let Some(field) = arguments.arg_fields.get_mut(1) {
            *field = Arc::new(field.as_ref().clone().with_data_type(plain));
        }
        let rows = arguments.number_rows;
        let truncated = self.0.invoke_with_args(arguments)?.to_array(rows)?;
        let truncated = truncated.as_primitive::<TimestampMicrosecondType>().clone().with_timezone(zone);
        Ok(ColumnarValue::Array(Arc::new(truncated) as ArrayRef))
    }
}
