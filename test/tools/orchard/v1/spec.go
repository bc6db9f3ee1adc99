package v1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// TreeSpec has a field for each marker of fields.
//
// +kubebuilder:validation:AtMostOneOf=fence;hedge
// +kubebuilder:validation:XValidation:rule="!has(self.height) || self.branches <= 50 || self.height > 10.0",messageExpression="'too many for a small ' + self.fruit + ' tree'",fieldPath=".branches",reason=FieldValueForbidden
type TreeSpec struct {
	Bounds `json:",inline"`
	Shapes `json:",inline"`

	// Fruit is what grows on it.
	//
	// +required
	// +kubebuilder:validation:Enum=apple;pear;cherry
	// +kubebuilder:example=apple
	// +kubebuilder:title=Fruit of the tree
	// +kubebuilder:externalDocs:url="https://example.com/fruit",description="all about fruit"
	Fruit string `json:"fruit"`

	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Branches int32 `json:"branches,omitempty"`

	// +k8s:immutable
	// +default="orchard"
	Origin string `json:"origin,omitempty"`

	// +optional
	// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || self == 0",message="a tree is planted without rings",optionalOldSelf=true
	// +kubebuilder:validation:XValidation:rule="self >= oldSelf",messageExpression="self == 0 ? 'rings do not vanish' : 'rings do not get fewer'"
	Rings *int32 `json:"rings,omitempty"`

	// +nullable
	// +kubebuilder:default="nobody"
	Owner *string `json:"owner,omitempty"`

	// +kubebuilder:default="unnamed"
	Name string `json:"name,omitempty"`

	Season Season `json:"season,omitempty"`

	Fence *string `json:"fence,omitempty"`
	Hedge *string `json:"hedge,omitempty"`

	Roots *Roots `json:"roots,omitempty"`
}

// Season is when it flowers.
//
// +k8s:enum
type Season string

// All but winter.
const (
	Spring Season = "spring"
	Summer Season = "summer"
	Autumn Season = "autumn"
)

// Roots are of one kind, and get something.
//
// +kubebuilder:validation:ExactlyOneOf=deep;flat
// +kubebuilder:validation:AtLeastOneOf=water;air
type Roots struct {
	Deep  *int32 `json:"deep,omitempty"`
	Flat  *int32 `json:"flat,omitempty"`
	Water *int32 `json:"water,omitempty"`
	Air   *int32 `json:"air,omitempty"`
}

// Bounds are fields that take some values only.
type Bounds struct {
	// +kubebuilder:validation:Pattern=`^[A-Z]{2}-[0-9]+$`
	// +kubebuilder:validation:MinLength=4
	// +kubebuilder:validation:MaxLength=8
	Code string `json:"code,omitempty"`

	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:ExclusiveMinimum=true
	// +kubebuilder:validation:Maximum=120
	// +kubebuilder:validation:ExclusiveMaximum=true
	Height *float64 `json:"height,omitempty"`

	// +kubebuilder:validation:MultipleOf=5
	Apart *int64 `json:"apart,omitempty"`

	Planted *metav1.Time     `json:"planted,omitempty"`
	Every   *metav1.Duration `json:"every,omitempty"`

	// +kubebuilder:validation:Format=ipv4
	Sensor string `json:"sensor,omitempty"`

	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Enum="1";"2"
	Row apiextensionsv1.JSON `json:"row,omitempty"`

	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=2
	Notes map[string]string `json:"notes,omitempty"`

	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	// +kubebuilder:validation:items:MinLength=2
	// +kubebuilder:validation:items:Pattern=`^[a-z]+$`
	// +listType=set
	Birds []string `json:"birds,omitempty"`
}

// Shapes are fields that differ in what they hold, and in how they are merged.
type Shapes struct {
	// +listType=map
	// +listMapKey=name
	// +listMapKey=side
	Grafts []Graft `json:"grafts,omitempty"`

	// +listType=atomic
	Path []string `json:"path,omitempty"`

	// +mapType=atomic
	Marks map[string]string `json:"marks,omitempty"`

	// +mapType=granular
	Tags map[string]string `json:"tags,omitempty"`

	// +structType=atomic
	Soil *Soil `json:"soil,omitempty"`

	Sun *Soil `json:"sun,omitempty"`

	Water *intstr.IntOrString `json:"water,omitempty"`
	Juice *resource.Quantity  `json:"juice,omitempty"`

	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^[0-9]+%$`
	Shade *intstr.IntOrString `json:"shade,omitempty"`

	// +kubebuilder:validation:EmbeddedResource
	// +kubebuilder:pruning:PreserveUnknownFields
	Nest *runtime.RawExtension `json:"nest,omitempty"`

	// +kubebuilder:pruning:PreserveUnknownFields
	Wild *Wild `json:"wild,omitempty"`

	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Whatever *apiextensionsv1.JSON `json:"whatever,omitempty"`
}

// Graft is told from others by its name and side.
type Graft struct {
	Name string `json:"name"`
	// +kubebuilder:default=north
	Side  string `json:"side,omitempty"`
	Fruit string `json:"fruit,omitempty"`
}

// Soil has two fields.
type Soil struct {
	Sand int32 `json:"sand,omitempty"`
	Clay int32 `json:"clay,omitempty"`
}

// Wild has one field that is known.
type Wild struct {
	Known string `json:"known,omitempty"`
	Tame  *Soil  `json:"tame,omitempty"`
}
