//! The resource trait of kube for our types: group, version, kind and metadata.

/// The API group.
pub const GROUP: &str = watershed_job::manifest::GROUP;
/// The version.
pub const VERSION: &str = "v1alpha1";
/// The category: `kubectl get streaming` lists the resources of it.
pub const CATEGORY: &str = "streaming";

/// Implements kube's resource trait for a type with `metadata`.
macro_rules! resource {
    ($type:ty, $kind:literal, $plural:literal) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = k8s_openapi::NamespaceResourceScope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $crate::resource::GROUP.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                $crate::resource::VERSION.into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &kube::core::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
pub(crate) use resource;
