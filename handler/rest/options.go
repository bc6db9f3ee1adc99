package rest

import (
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ListOptions are the parsed options of list, watch and deletecollection.
type ListOptions struct {
	LabelSelector        labels.Selector // never nil
	FieldSelector        fields.Selector // never nil
	ResourceVersion      string
	ResourceVersionMatch metav1.ResourceVersionMatch
	Limit                int64
	Continue             string
	AllowWatchBookmarks  bool
	SendInitialEvents    *bool
}

// UpdateOptions are the options of update and patch.
type UpdateOptions struct {
	metav1.UpdateOptions
	// CreateOnMissing lets the update create the object (server-side apply, or a kind whose
	// strategy allows create on update).
	CreateOnMissing bool
	// Applied tells that the transform settles who manages which field, too: it comes from an Applier.
	Applied bool
}
