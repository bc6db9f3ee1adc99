// Package v2 is the version of pots that the potter works in, and that others are converted from and to.
package v2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the one of this package.
var GroupVersion = schema.GroupVersion{Group: "pottery.example.com", Version: "v2"}

// AddToScheme adds what is in this package.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &Pot{}, &PotList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}

// Pot holds something.
type Pot struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   PotSpec   `json:"spec"`
	Status PotStatus `json:"status,omitempty"`
}

// PotSpec is what is ordered.
type PotSpec struct {
	Width  int64  `json:"width"`
	Height int64  `json:"height"`
	Glaze  string `json:"glaze,omitempty"`
}

// PotStatus is what became of it.
type PotStatus struct {
	Phase  string `json:"phase,omitempty"`
	Volume int64  `json:"volume,omitempty"`
}

// Hub marks the version that others are converted by.
func (*Pot) Hub() {}

// DeepCopyObject implements runtime.Object.
func (p *Pot) DeepCopyObject() runtime.Object {
	q := *p
	q.ObjectMeta = *p.ObjectMeta.DeepCopy()
	return &q
}

// PotList is a shelf.
type PotList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Pot `json:"items"`
}

// DeepCopyObject implements runtime.Object.
func (l *PotList) DeepCopyObject() runtime.Object {
	m := *l
	m.ListMeta = *l.ListMeta.DeepCopy()
	m.Items = make([]Pot, len(l.Items))
	for i := range l.Items {
		m.Items[i] = *l.Items[i].DeepCopyObject().(*Pot)
	}
	return &m
}
