// Package unwelcome has a marker that controller-gen takes and an API server does not.
//
// +groupName=unwelcome.example.com
// +versionName=v1
package unwelcome

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Hive has cells that would have to be compared with each other.
//
// +kubebuilder:object:root=true
type Hive struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +kubebuilder:validation:UniqueItems=true
	Cells []string `json:"cells,omitempty"`
}
