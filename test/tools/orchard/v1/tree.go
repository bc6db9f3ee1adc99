// Package v1 is an API as its author writes it: Go types, and markers that controller-gen turns into definitions. Tests look for the effect of each
// marker, so there is at least one of every kind.
//
// +groupName=orchard.example.com
// +versionName=v1
package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Tree is something to climb.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.branches,statuspath=.status.branches,selectorpath=.status.selector
// +kubebuilder:resource:path=trees,singular=tree,scope=Namespaced,shortName={tr,trs},categories={all,plants}
// +kubebuilder:printcolumn:name="Fruit",type=string,JSONPath=`.spec.fruit`,description="What grows on it."
// +kubebuilder:printcolumn:name="Branches",type=integer,format=int32,JSONPath=`.spec.branches`
// +kubebuilder:printcolumn:name="Planted",type=date,JSONPath=`.spec.planted`
// +kubebuilder:printcolumn:name="Height",type=number,format=double,priority=1,JSONPath=`.spec.height`
// +kubebuilder:selectablefield:JSONPath=`.spec.fruit`
// +kubebuilder:selectablefield:JSONPath=`.spec.branches`
// +kubebuilder:metadata:labels="made=by-machine",annotations="example.com/note=do not edit"
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 12",message="the name of a tree is short"
type Tree struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   TreeSpec   `json:"spec"`
	Status TreeStatus `json:"status,omitempty"`
}

// TreeStatus is how the tree is doing.
type TreeStatus struct {
	Branches int32  `json:"branches,omitempty"`
	Selector string `json:"selector,omitempty"`

	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// TreeList is an orchard.
//
// +kubebuilder:object:root=true
type TreeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Tree `json:"items"`
}

// Meadow is where orchards are; there is one of a name.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
type Meadow struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec MeadowSpec `json:"spec,omitempty"`
}

// MeadowSpec is left to whoever owns the meadow.
//
// +kubebuilder:pruning:PreserveUnknownFields
type MeadowSpec struct {
	// +optional
	Acres int64 `json:"acres,omitempty"`
}
