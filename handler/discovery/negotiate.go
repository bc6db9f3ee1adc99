package discovery

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// encoding is a media type that documents are written in.
type encoding int

const (
	encodingJSON encoding = iota
	encodingYAML
	encodingProtobuf
	encodings // their number
)

var mediaTypes = [encodings]string{
	encodingJSON:     "application/json",
	encodingYAML:     "application/yaml",
	encodingProtobuf: "application/vnd.kubernetes.protobuf",
}

// aggregatedParameters are what a client adds to a media type to ask for the aggregated document,
// and what it looks for in the answer: client-go falls back to the older documents without them.
const aggregatedParameters = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// representation is one form of a document.
type representation struct {
	encoding   encoding
	aggregated bool
}

// clause is one media range of an Accept header.
type clause struct {
	mediaType          string
	as, group, version string
	quality            float64
}

// maxClauses bounds what a hostile Accept header can make us sort.
const maxClauses = 32

// negotiate returns the representation that the client wants most among those that there are.
// Clauses for other kinds of document (the aggregated form v2beta1 left with 1.35) are passed
// over, so a client that accepts nothing else learns so.
func negotiate(r *http.Request, aggregatedOffered bool) (representation, bool) {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(accept) == "" {
		return representation{encoding: encodingJSON}, true
	}
	for _, c := range parseAccept(accept) {
		e, known := encodingOf(c.mediaType)
		switch {
		case !known || c.quality == 0:
		case c.as == "":
			return representation{encoding: e}, true
		case aggregatedOffered && c.as == "APIGroupDiscoveryList" && c.group == "apidiscovery.k8s.io" && c.version == "v2":
			return representation{encoding: e, aggregated: true}, true
		}
	}
	return representation{}, false
}

// parseAccept returns the clauses of an Accept header, the most wanted first; equally wanted ones
// stay in the client's order, which is how client-go prefers v2 to the older documents.
func parseAccept(header string) []clause {
	parts := strings.SplitN(header, ",", maxClauses+1)
	clauses := make([]clause, 0, len(parts))
	for _, part := range parts[:min(len(parts), maxClauses)] {
		mediaType, params, _ := strings.Cut(part, ";")
		c := clause{mediaType: strings.ToLower(strings.TrimSpace(mediaType)), quality: 1}
		for params != "" {
			var param string
			param, params, _ = strings.Cut(params, ";")
			c.set(param)
		}
		clauses = append(clauses, c)
	}
	slices.SortStableFunc(clauses, func(a, b clause) int { return cmp.Compare(b.quality, a.quality) })
	return clauses
}

func (c *clause) set(param string) {
	key, value, _ := strings.Cut(param, "=")
	value = strings.TrimSpace(value)
	switch strings.ToLower(strings.TrimSpace(key)) {
	case "as":
		c.as = value
	case "g":
		c.group = value
	case "v":
		c.version = value
	case "q":
		// What is not a quality between 0 and 1 is not wanted.
		if q, err := strconv.ParseFloat(value, 64); err == nil && q >= 0 && q <= 1 {
			c.quality = q
		} else {
			c.quality = 0
		}
	}
}

func encodingOf(mediaType string) (encoding, bool) {
	switch mediaType {
	case "*/*", "application/*":
		return encodingJSON, true
	}
	for e, name := range mediaTypes {
		if name == mediaType {
			return encoding(e), true
		}
	}
	return 0, false
}

// errNotAcceptable tells a client that it accepts no form that documents are offered in.
func errNotAcceptable() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusNotAcceptable,
		Reason:  metav1.StatusReasonNotAcceptable,
		Message: "only the following media types are accepted: " + strings.Join(mediaTypes[:], ", "),
	}}
}
