//! What the pre-scan counts, each against its limit. It reads nothing itself.

use wasmparser::{CompositeInnerType, Element, ElementItems, FunctionBody, SubType};

use super::{ComponentFigures, PrescanError, damaged};
use crate::limits;

/// The figures so far.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) figures: ComponentFigures,
}

fn add(count: &mut usize, more: usize, what: &'static str, max: usize) -> Result<(), PrescanError> {
    *count = count.saturating_add(more);
    if *count > max { Err(PrescanError::TooMany { what, max }) } else { Ok(()) }
}

impl Counts {
    pub(super) fn part(&mut self) -> Result<(), PrescanError> {
        self.figures.parts += 1;
        if self.figures.parts > limits::COMPONENT_PARTS_MAX {
            Err(PrescanError::TooManyParts)
        } else {
            Ok(())
        }
    }

    /// Instances that a component makes, its nested ones included; the outermost one, which ends last, has the most.
    pub(super) fn instances(&mut self, made: u64) -> Result<(), PrescanError> {
        let more = usize::try_from(made).unwrap_or(usize::MAX).saturating_sub(self.figures.instances);
        add(&mut self.figures.instances, more, "instances of its parts", limits::COMPONENT_INSTANCES_MAX)
    }

    pub(super) fn types(&mut self, count: u32) -> Result<(), PrescanError> {
        add(&mut self.figures.types, count as usize, "types", limits::COMPONENT_TYPES_MAX)
    }

    /// Counts a core type; answers how many parameters and results a function of it has.
    pub(super) fn core_type(&mut self, core_type: &SubType) -> Result<u32, PrescanError> {
        self.types(1)?;
        let CompositeInnerType::Func(function) = &core_type.composite_type.inner else { return Ok(0) };
        let width = function.params().len().saturating_add(function.results().len());
        if width > limits::FUNCTION_PARAMETERS_MAX {
            return Err(PrescanError::FunctionTooWide(width));
        }
        Ok(u32::try_from(width).unwrap_or(u32::MAX))
    }

    pub(super) fn import(&mut self, name_bytes: usize) -> Result<(), PrescanError> {
        self.name(name_bytes)?;
        add(&mut self.figures.imports, 1, "imports", limits::COMPONENT_IMPORTS_MAX)
    }

    pub(super) fn export(&mut self, name_bytes: usize) -> Result<(), PrescanError> {
        self.name(name_bytes)?;
        self.links(1)
    }

    /// Aliases and canonical functions: what links the parts with each other.
    pub(super) fn links(&mut self, count: u32) -> Result<(), PrescanError> {
        let max = limits::COMPONENT_EXPORTS_MAX;
        add(&mut self.figures.exports, count as usize, "exports, aliases and canonical functions", max)
    }

    fn name(&mut self, bytes: usize) -> Result<(), PrescanError> {
        let max = limits::COMPONENT_NAME_BYTES_MAX;
        add(&mut self.figures.name_bytes, bytes, "bytes of names of imports and exports", max)
    }

    pub(super) fn globals(&mut self, count: u32) -> Result<(), PrescanError> {
        add(&mut self.figures.globals, count as usize, "globals", limits::COMPONENT_GLOBALS_MAX)
    }

    pub(super) fn segments(&mut self, count: u32) -> Result<(), PrescanError> {
        let max = limits::COMPONENT_SEGMENTS_MAX;
        add(&mut self.figures.segments, count as usize, "data and element segments", max)
    }

    pub(super) fn element_segment(&mut self, segment: &Element<'_>) -> Result<(), PrescanError> {
        self.segments(1)?;
        let count = match &segment.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        };
        add(&mut self.figures.elements, count as usize, "elements", limits::COMPONENT_ELEMENTS_MAX)
    }

    pub(super) fn functions(&mut self, count: u32) -> Result<(), PrescanError> {
        self.figures.functions = self.figures.functions.saturating_add(count as usize);
        if self.figures.functions > limits::COMPONENT_FUNCTIONS_MAX {
            return Err(PrescanError::TooManyFunctions);
        }
        Ok(())
    }

    pub(super) fn locals(&mut self, count: u32) -> Result<(), PrescanError> {
        let max = limits::COMPONENT_LOCALS_MAX;
        add(&mut self.figures.locals, count as usize, "locals and parameters of functions", max)
    }

    pub(super) fn body(&mut self, body: &FunctionBody<'_>) -> Result<(), PrescanError> {
        let bytes = body.range().len();
        if bytes > limits::FUNCTION_BODY_BYTES_MAX {
            return Err(PrescanError::FunctionTooLarge(bytes));
        }
        self.figures.function_bytes_largest = self.figures.function_bytes_largest.max(bytes);
        for group in body.get_locals_reader().map_err(damaged)? {
            self.locals(group.map_err(damaged)?.0)?;
        }
        Ok(())
    }
}
