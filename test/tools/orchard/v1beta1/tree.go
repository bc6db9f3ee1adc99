// Package v1beta1 is the version before, which is still served, with a warning.
//
// +groupName=orchard.example.com
// +versionName=v1beta1
package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Tree is something to climb.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=trees,singular=tree,scope=Namespaced,shortName={tr,trs},categories={all,plants}
// +kubebuilder:selectablefield:JSONPath=`.spec.fruit`
// +kubebuilder:deprecatedversion:warning="trees are v1 now"
type Tree struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec TreeSpec `json:"spec,omitempty"`
}

// TreeSpec had less to say.
type TreeSpec struct {
	Fruit string `json:"fruit,omitempty"`
	// +kubebuilder:default=1
	Branches int32 `json:"branches,omitempty"`
}
