package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/portico-api/portico/handler/rawjson"
)

// A group may have hundreds of kinds without a Go type, with long schemas, and a client waits for their document. To make a tree of all of it and
// encode that takes many times what it takes to copy it. So the tree is made of one sample for all resources that differ in nothing but their names
// and schemas, with gaps where these stand, and its text is copied for each of them.

// Gaps in the text of samples. No name of a group, version, resource or kind has an underscore, and no text of ours has two; that of a field
// may: see seemsToHaveGaps.
var gaps = regexp.MustCompile(`__(plural|kind|list)(\d+)__|"__(schema|properties)\d+__":0,`)

// sample are resources whose descriptions differ in names and schemas.
type sample struct {
	Resource // with gaps

	like []*Resource
}

// sampled puts resources without a Go type together with those that are like them; the others are returned as they are, as are those that cannot
// be told from a sample.
func sampled(resources []Resource) (rest []Resource, samples []*sample) {
	seen := map[string]*sample{}
	for i := range resources {
		r := &resources[i]
		if r.Schema == nil || r.seemsToHaveGaps() {
			rest = append(rest, *r)
			continue
		}
		shape := fmt.Sprintf("%#v", withGaps(r, 0))
		s := seen[shape]
		if s == nil {
			s = &sample{Resource: withGaps(r, len(samples))}
			seen[shape], samples = s, append(samples, s)
		}
		s.like = append(s.like, r)
	}
	return rest, samples
}

// seemsToHaveGaps tells whether a field by which objects can be selected, which samples name, has a name like a gap.
func (r *Resource) seemsToHaveGaps() bool {
	return slices.ContainsFunc(r.SelectableFields, gaps.MatchString)
}

// withGaps is a resource with gaps for its names and its schema.
func withGaps(r *Resource, number int) Resource {
	n := strconv.Itoa(number)
	gapped := *r
	gapped.Name, gapped.Kind.Kind, gapped.ListKind = "__plural"+n+"__", "__kind"+n+"__", "__list"+n+"__"
	gapped.Schema = json.RawMessage(`{"__schema` + n + `__":0,"properties":{"__properties` + n + `__":0}}`)
	gapped.Subresources = slices.Clone(r.Subresources)
	for i := range gapped.Subresources {
		if sub := &gapped.Subresources[i]; sub.Schema != nil {
			sub.Kind, sub.Schema = gapped.Kind, gapped.Schema
		}
	}
	return gapped
}

// filling makes the text of a document from one that has gaps.
type filling struct {
	gapped  rawjson.Scanner
	samples []*sample
	out     []byte
	comma   bool // there is a member before the next one

	everywhere         map[string]spec.Schema // the properties of all objects
	properties, others []byte                 // the schema at hand, in parts; each member has a comma behind it
	err                error
}

var errGaps = errors.New("the document of samples has another form than documents have")

// fill is the text of a document with the description of each resource in place of that of its sample.
func fill(text []byte, samples []*sample) ([]byte, error) {
	size := len(text)
	for _, s := range samples {
		for _, r := range s.like {
			size += len(text)/(2*len(samples)) + len(r.Schema)
		}
	}
	f := &filling{gapped: rawjson.Scanner{Text: text}, samples: samples, everywhere: newSchemas().objectProperties(), out: make([]byte, 0, size)}
	if !f.object(f.document) && f.err == nil {
		f.err = errGaps
	}
	return f.out, f.err
}

// object writes an object, whose members visit writes.
func (f *filling) object(visit func(key []byte)) bool {
	f.out, f.comma = append(f.out, '{'), false
	whole := f.gapped.Members(visit)
	f.out, f.comma = append(f.out, '}'), true
	return whole
}

// key writes the name of a member.
func (f *filling) key(key []byte) {
	if f.comma {
		f.out = append(f.out, ',')
	}
	f.out, f.comma = append(append(append(f.out, '"'), key...), `":`...), true
}

func (f *filling) document(key []byte) {
	f.key(key)
	switch string(key) {
	case "paths":
		f.object(f.each)
	case "components":
		f.object(f.components)
	default:
		f.out = append(f.out, f.gapped.Skip()...)
	}
}

func (f *filling) components(key []byte) {
	f.key(key)
	if string(key) == "schemas" {
		f.object(f.each)
		return
	}
	f.out = append(f.out, f.gapped.Skip()...)
}

// each writes a path or a model: once, or with a gap in its name once for each resource that is like the sample.
func (f *filling) each(key []byte) {
	named := gaps.FindSubmatch(key)
	if named == nil {
		f.key(key)
		f.out = append(f.out, f.gapped.Skip()...)
		return
	}
	number, err := strconv.Atoi(string(named[2]))
	if err != nil || number >= len(f.samples) {
		return
	}
	name, value := cut(key), cut(f.gapped.Skip())
	for _, r := range f.samples[number].like {
		if f.comma {
			f.out = append(f.out, ',')
		}
		f.comma = true
		f.out = append(f.out, '"')
		f.pieces(name, r)
		f.out = append(f.out, `":`...)
		f.pieces(value, r)
	}
}

// piece is text, and what stands in the gap behind it: nothing behind the last.
type piece struct {
	text []byte
	gap  string
}

// cut makes pieces of a text with gaps.
func cut(text []byte) []piece {
	var all []piece
	from := 0
	for _, at := range gaps.FindAllSubmatchIndex(text, -1) {
		gap := text[max(at[2], at[6]):max(at[3], at[7])]
		all = append(all, piece{text[from:at[0]], string(gap)})
		from = at[1]
	}
	return append(all, piece{text: text[from:]})
}

func (f *filling) pieces(all []piece, r *Resource) {
	for i := range all {
		f.out = append(f.out, all[i].text...)
		switch all[i].gap {
		case "plural":
			f.out = append(f.out, r.Name...)
		case "kind":
			f.out = append(f.out, r.Kind.Kind...)
		case "list":
			f.out = append(f.out, r.listKind()...)
		case "schema": // a model's first member: its members are sorted
			f.take(r)
			f.out = append(f.out, f.others...)
		case "properties":
			f.out = append(f.out, f.properties...)
		}
	}
}

// take takes the schema of a resource apart. What the properties of all objects are like, the sample says.
func (f *filling) take(r *Resource) {
	f.properties, f.others = f.properties[:0], f.others[:0]
	schema, err := embedding(r.Schema, f.everywhere)
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("describing %s: %w", r.Kind, err)
	}
	s, parted := rawjson.Scanner{Text: bytes.TrimSpace(schema)}, true
	whole := s.Members(func(key []byte) {
		if string(key) != "properties" {
			f.others = appendMember(f.others, key, s.Skip())
			return
		}
		parted = s.Members(func(key []byte) {
			switch string(key) {
			case "apiVersion", "kind", "metadata":
			default:
				f.properties = appendMember(f.properties, key, s.Skip())
			}
		})
	})
	if f.err == nil && !(whole && parted) {
		f.err = fmt.Errorf("describing %s: its schema is no JSON object, or its properties are none", r.Kind)
	}
}

func appendMember(dst, key, value []byte) []byte {
	dst = append(append(append(dst, '"'), key...), `":`...)
	return append(append(dst, value...), ',')
}
