// Package v1 is the first version of pots: their size is a word, and there is one glaze.
package v1

import (
	"fmt"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/conversion"

	v2 "github.com/portico-api/portico/test/tools/operator/potter/v2"
)

// GroupVersion is the one of this package.
var GroupVersion = schema.GroupVersion{Group: "pottery.example.com", Version: "v1"}

// glazeAnnotation keeps what this version has no field for.
const glazeAnnotation = "pottery.example.com/glaze"

// AddToScheme adds what is in this package.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &Pot{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}

// Pot holds something.
type Pot struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   PotSpec      `json:"spec"`
	Status v2.PotStatus `json:"status,omitempty"`
}

// PotSpec is what is ordered.
type PotSpec struct {
	Size string `json:"size"` // such as 3x4
}

// DeepCopyObject implements runtime.Object.
func (p *Pot) DeepCopyObject() runtime.Object {
	q := *p
	q.ObjectMeta = *p.ObjectMeta.DeepCopy()
	return &q
}

// ConvertTo implements conversion.Convertible.
func (p *Pot) ConvertTo(hub conversion.Hub) error {
	q := hub.(*v2.Pot)
	q.ObjectMeta, q.Status = *p.ObjectMeta.DeepCopy(), p.Status
	if _, err := fmt.Sscanf(p.Spec.Size, "%dx%d", &q.Spec.Width, &q.Spec.Height); err != nil {
		return fmt.Errorf("the size %q is not like 3x4", p.Spec.Size)
	}
	q.Spec.Glaze = q.Annotations[glazeAnnotation]
	delete(q.Annotations, glazeAnnotation)
	return nil
}

// ConvertFrom implements conversion.Convertible.
func (p *Pot) ConvertFrom(hub conversion.Hub) error {
	q := hub.(*v2.Pot)
	p.ObjectMeta, p.Status = *q.ObjectMeta.DeepCopy(), q.Status
	p.Spec.Size = fmt.Sprintf("%dx%d", q.Spec.Width, q.Spec.Height)
	if q.Spec.Glaze != "" {
		p.Annotations = maps.Clone(p.Annotations)
		if p.Annotations == nil {
			p.Annotations = map[string]string{}
		}
		p.Annotations[glazeAnnotation] = q.Spec.Glaze
	}
	return nil
}
