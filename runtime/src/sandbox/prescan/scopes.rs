//! How large the types of a component are when all that they refer to is written out, and how many instances its nested
//! components make: both can double with every line. The types are read here and not by the parser, which follows nested
//! ones by recursion: a few megabytes of them would end the process.

use wasmparser::{
    BinaryReader, ComponentAlias, ComponentDefinedType, ComponentExport, ComponentExternName,
    ComponentExternalKind, ComponentImport, ComponentInstance, ComponentOuterAliasKind, ComponentType,
    ComponentTypeRef, ComponentValType, CoreType, TypeBounds,
};

use super::counts::Counts;
use super::{PrescanError, damaged};
use crate::limits::{COMPONENT_TYPE_DEPTH_MAX, COMPONENT_TYPE_NODES_MAX};

/// The components and modules that are being read, the innermost last, and within a type those that it consists of.
#[derive(Default)]
pub(super) struct Scopes {
    open: Vec<Scope>,
    /// Whether what opens next is a component, not a module.
    component_follows: bool,
}

#[derive(Default)]
struct Scope {
    is_component: bool,
    types: Vec<Size>,
    /// Instances that each component of the scope makes.
    components: Vec<u64>,
    /// Instances that the scope itself makes.
    instances: u64,
    /// Parameters and results of the core types of a module.
    core_types: Vec<u32>,
}

/// A type, written out.
#[derive(Clone, Copy)]
struct Size {
    nodes: u64,
    depth: usize,
}

impl Size {
    /// One that refers to nothing; what is not known here is checked by the engine, whose limit is higher.
    const ONE: Self = Self { nodes: 1, depth: 1 };

    /// Takes another one in, as a part.
    fn add(&mut self, part: Self) {
        self.nodes = self.nodes.saturating_add(part.nodes);
        self.depth = self.depth.max(part.depth.saturating_add(1));
    }
}

/// A component or instance type whose declarations are being read.
struct Group {
    declarations_left: u32,
    size: Size,
}

impl Scopes {
    pub(super) fn is_outermost(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn component_follows(&mut self) {
        self.component_follows = true;
    }

    /// A module or component begins.
    pub(super) fn open(&mut self) {
        let is_component = std::mem::take(&mut self.component_follows) || self.is_outermost();
        self.open.push(Scope { is_component, ..Scope::default() });
    }

    /// It ends; answers how many instances it makes.
    pub(super) fn close(&mut self) -> u64 {
        let Some(closed) = self.open.pop() else { return 0 };
        if closed.is_component
            && let Some(outer) = self.open.last_mut()
        {
            outer.components.push(closed.instances);
        }
        closed.instances
    }

    fn top(&mut self) -> Option<&mut Scope> {
        self.open.last_mut()
    }

    fn outer(&self, count: u32) -> Option<&Scope> {
        self.open.iter().rev().nth(count as usize)
    }

    pub(super) fn core_type(&mut self, width: u32) {
        if let Some(scope) = self.top() {
            scope.core_types.push(width);
        }
    }

    /// Parameters and results of a function of this core type.
    pub(super) fn parameters(&self, core_type: u32) -> u32 {
        let known = self.open.last().and_then(|scope| scope.core_types.get(core_type as usize));
        known.copied().unwrap_or_default()
    }

    pub(super) fn core_instance(&mut self) {
        self.made(1);
    }

    pub(super) fn instance(&mut self, instance: &ComponentInstance<'_>) {
        let inner = match instance {
            ComponentInstance::Instantiate { component_index, .. } => {
                let component = self.open.last().and_then(|s| s.components.get(*component_index as usize));
                component.copied().unwrap_or_default()
            }
            ComponentInstance::FromExports(_) => 0,
        };
        self.made(inner.saturating_add(1));
    }

    fn made(&mut self, more: u64) {
        if let Some(scope) = self.top() {
            scope.instances = scope.instances.saturating_add(more);
        }
    }

    pub(super) fn import(
        &mut self,
        import: &ComponentImport<'_>,
        counts: &mut Counts,
    ) -> Result<(), PrescanError> {
        counts.import(import.name.name.len())?;
        match import.ty {
            // How many instances it makes is not known here.
            ComponentTypeRef::Component(_) => Err(PrescanError::TakesComponent),
            ComponentTypeRef::Type(bounds) => self.define(self.bounds(bounds)),
            _ => Ok(()),
        }
    }

    pub(super) fn export(
        &mut self,
        export: &ComponentExport<'_>,
        counts: &mut Counts,
    ) -> Result<(), PrescanError> {
        counts.export(export.name.name.len())?;
        match export.kind {
            // What is exported gets an index of its own.
            ComponentExternalKind::Type => self.define(self.type_at(export.index)),
            ComponentExternalKind::Component => {
                self.copy_component(0, export.index);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn alias(
        &mut self,
        alias: &ComponentAlias<'_>,
        counts: &mut Counts,
    ) -> Result<(), PrescanError> {
        counts.links(1)?;
        match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                Err(PrescanError::TakesComponent)
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                self.copy_component(*count, *index);
                Ok(())
            }
            _ => self.alias_of_type(alias),
        }
    }

    fn alias_of_type(&mut self, alias: &ComponentAlias<'_>) -> Result<(), PrescanError> {
        match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Type, .. } => {
                self.define(Size::ONE)
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, count, index } => {
                let size = self.outer(*count).and_then(|scope| scope.types.get(*index as usize)).copied();
                self.define(size.unwrap_or(Size::ONE))
            }
            _ => Ok(()),
        }
    }

    fn copy_component(&mut self, count: u32, index: u32) {
        let known = self.outer(count).and_then(|scope| scope.components.get(index as usize)).copied();
        if let Some(scope) = self.top() {
            scope.components.push(known.unwrap_or_default());
        }
    }

    /// Reads a section of component types.
    pub(super) fn component_types(
        &mut self,
        section: &[u8],
        counts: &mut Counts,
    ) -> Result<(), PrescanError> {
        let mut reader = BinaryReader::new(section, 0);
        for _ in 0..reader.read_var_u32().map_err(damaged)? {
            self.component_type(&mut reader, counts)?;
        }
        Ok(())
    }

    /// Reads one type: those within it wait in a list of our own, not on the stack.
    fn component_type(
        &mut self,
        reader: &mut BinaryReader<'_>,
        counts: &mut Counts,
    ) -> Result<(), PrescanError> {
        let mut groups: Vec<Group> = Vec::new();
        loop {
            counts.types(1)?;
            match group_begins(reader).map_err(damaged)? {
                Some(declarations_left) if groups.len() < COMPONENT_TYPE_DEPTH_MAX => {
                    groups.push(Group { declarations_left, size: Size::ONE });
                    self.open.push(Scope::default());
                }
                Some(_) => return Err(PrescanError::TypeTooDeep),
                None => {
                    let read: ComponentType<'_> = reader.read().map_err(damaged)?;
                    self.define(self.size(&read))?;
                }
            }
            loop {
                let Some(group) = groups.last_mut() else { return Ok(()) };
                if group.declarations_left == 0 {
                    let size = group.size;
                    groups.pop();
                    self.open.pop();
                    self.define(size)?;
                    continue;
                }
                group.declarations_left -= 1;
                counts.types(1)?;
                if self.declaration(reader, &mut group.size)? {
                    break;
                }
            }
        }
    }

    /// Reads one declaration within a type; answers whether it is a type, which follows.
    fn declaration(&mut self, reader: &mut BinaryReader<'_>, size: &mut Size) -> Result<bool, PrescanError> {
        match reader.read_u8().map_err(damaged)? {
            0x00 => drop(reader.read::<CoreType<'_>>().map_err(damaged)?),
            0x01 => return Ok(true),
            0x02 => self.alias_of_type(&reader.read().map_err(damaged)?)?,
            0x03 => {
                let import: ComponentImport<'_> = reader.read().map_err(damaged)?;
                self.extern_type(import.ty, size)?;
            }
            0x04 => {
                reader.read::<ComponentExternName<'_>>().map_err(damaged)?;
                self.extern_type(reader.read().map_err(damaged)?, size)?;
            }
            other => return Err(PrescanError::Damaged(format!("declaration {other:#x} in a type"))),
        }
        Ok(false)
    }

    /// An import or export of a component or instance type.
    fn extern_type(&mut self, item: ComponentTypeRef, size: &mut Size) -> Result<(), PrescanError> {
        size.add(match item {
            ComponentTypeRef::Module(_) => Size::ONE,
            ComponentTypeRef::Func(index)
            | ComponentTypeRef::Instance(index)
            | ComponentTypeRef::Component(index) => self.type_at(index),
            ComponentTypeRef::Value(value) => self.value(value),
            ComponentTypeRef::Type(bounds) => self.bounds(bounds),
        });
        match item {
            ComponentTypeRef::Type(bounds) => self.define(self.bounds(bounds)),
            _ => Ok(()),
        }
    }

    /// Gives a type the next index.
    fn define(&mut self, size: Size) -> Result<(), PrescanError> {
        if size.nodes > COMPONENT_TYPE_NODES_MAX as u64 {
            return Err(PrescanError::TypeTooLarge);
        }
        if size.depth > COMPONENT_TYPE_DEPTH_MAX {
            return Err(PrescanError::TypeTooDeep);
        }
        if let Some(scope) = self.top() {
            scope.types.push(size);
        }
        Ok(())
    }

    fn type_at(&self, index: u32) -> Size {
        let known = self.open.last().and_then(|scope| scope.types.get(index as usize));
        known.copied().unwrap_or(Size::ONE)
    }

    fn bounds(&self, bounds: TypeBounds) -> Size {
        match bounds {
            TypeBounds::Eq(index) => self.type_at(index),
            TypeBounds::SubResource => Size::ONE,
        }
    }

    fn value(&self, value: ComponentValType) -> Size {
        match value {
            ComponentValType::Primitive(_) => Size::ONE,
            ComponentValType::Type(index) => self.type_at(index),
        }
    }

    fn size(&self, component_type: &ComponentType<'_>) -> Size {
        match component_type {
            ComponentType::Defined(defined) => self.defined(defined),
            ComponentType::Func(function) => {
                self.all(function.params.iter().map(|(_, value)| *value).chain(function.result))
            }
            // Groups are read before.
            ComponentType::Component(_) | ComponentType::Instance(_) | ComponentType::Resource { .. } => {
                Size::ONE
            }
        }
    }

    fn all(&self, values: impl Iterator<Item = ComponentValType>) -> Size {
        let mut size = Size::ONE;
        values.for_each(|value| size.add(self.value(value)));
        size
    }

    fn defined(&self, defined: &ComponentDefinedType<'_>) -> Size {
        use ComponentDefinedType as Defined;
        match defined {
            Defined::Primitive(_) | Defined::Own(_) | Defined::Borrow(_) => Size::ONE,
            Defined::Flags(names) | Defined::Enum(names) => {
                Size { nodes: (names.len() as u64).saturating_add(1), depth: 1 }
            }
            Defined::Record(fields) => self.all(fields.iter().map(|(_, value)| *value)),
            Defined::Variant(cases) => self.all(cases.iter().filter_map(|case| case.ty)),
            Defined::Tuple(values) => self.all(values.iter().copied()),
            Defined::List(value) | Defined::Option(value) => self.all([*value].into_iter()),
            Defined::Map(key, value) => self.all([*key, *value].into_iter()),
            Defined::FixedLengthList(value, length) => {
                let mut size = self.all([*value].into_iter());
                size.nodes = size.nodes.saturating_mul((*length).into());
                size
            }
            Defined::Result { ok, err } => self.all(ok.iter().chain(err).copied()),
            Defined::Future(value) | Defined::Stream(value) => self.all(value.iter().copied()),
        }
    }
}

/// Whether a component or instance type follows; then reads its head and answers how many declarations it has.
fn group_begins(reader: &mut BinaryReader<'_>) -> wasmparser::Result<Option<u32>> {
    let mut ahead = reader.clone();
    if !matches!(ahead.read_u8()?, 0x41 | 0x42) {
        return Ok(None);
    }
    let declarations = ahead.read_var_u32()?;
    *reader = ahead;
    Ok(Some(declarations))
}
