package rest

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Rememberer is an Object that can keep one more form of itself beside its JSON, for as long as it is
// the newest state or somebody holds it.
type Rememberer interface {
	// Remember returns the object in form, as encode makes it, from memory if it has been asked for
	// before. form is compared only.
	Remember(form any, encode func() ([]byte, error)) ([]byte, error)
}

// protobufMagic is how a body in protobuf begins.
const protobufMagic = "k8s\x00"

var (
	partialKind     = metav1.SchemeGroupVersion.WithKind("PartialObjectMetadata")
	partialListKind = metav1.SchemeGroupVersion.WithKind("PartialObjectMetadataList")
)

// message is o as a protobuf message, without the envelope that says what it is. That of a whole object is
// costly, the only form that decodes everything, so it is remembered.
func (e *endpoint) message(s shape, o Object) ([]byte, error) {
	if keeper, ok := o.(Rememberer); ok && s == shapeObject {
		return keeper.Remember(e, func() ([]byte, error) { return e.messageOf(s, o.JSON()) })
	}
	return e.messageOf(s, o.JSON())
}

func (e *endpoint) messageOf(s shape, stored []byte) ([]byte, error) {
	obj := runtime.Object(&metav1.PartialObjectMetadata{})
	if s != shapePartial {
		obj = e.res.New()
	}
	if err := decodeStored(stored, obj); err != nil {
		return nil, err
	}
	message, err := obj.(protobufMessage).Marshal()
	if err != nil {
		return nil, fmt.Errorf("writing a %s as protobuf: %w", e.gvk.Kind, err)
	}
	return message, nil
}

// protobufMessage is what a type with a protobuf form implements.
type protobufMessage interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// appendEnvelope appends a message with what says that it is a gvk.
func appendEnvelope(dst []byte, gvk schema.GroupVersionKind, message []byte) []byte {
	dst = append(openEnvelope(dst, gvk, len(message)), message...)
	return append(dst, envelopeTail...)
}

// openEnvelope appends what stands before a message of a size: the fields of a runtime.Unknown in their order.
func openEnvelope(dst []byte, gvk schema.GroupVersionKind, size int) []byte {
	apiVersion, kind := gvk.ToAPIVersionAndKind()
	dst = append(dst, protobufMagic...)
	dst = append(dst, typeMetaTag)
	dst = binary.AppendUvarint(dst, uint64(fieldSize(len(apiVersion))+fieldSize(len(kind))))
	dst = appendField(dst, apiVersionTag, apiVersion)
	dst = appendField(dst, kindTag, kind)
	dst = append(dst, messageTag)
	return binary.AppendUvarint(dst, uint64(size))
}

// Tags of fields of bytes in a runtime.Unknown and the runtime.TypeMeta in it, and what follows the message: an
// empty content encoding and type, as every server writes them.
const (
	typeMetaTag   = 1<<3 | 2
	messageTag    = 2<<3 | 2
	apiVersionTag = 1<<3 | 2
	kindTag       = 2<<3 | 2
	envelopeTail  = "\x1a\x00\x22\x00"
)

// kindOf is the kind of an answer in a shape.
func (e *endpoint) kindOf(s shape) schema.GroupVersionKind {
	if s == shapePartial {
		return partialKind
	}
	return e.gvk
}

func (e *endpoint) respondMessage(w http.ResponseWriter, r *http.Request, status int, s shape, message []byte) {
	e.buffers.writeBody(w, r, status, protobufHeader, appendEnvelope(nil, e.kindOf(s), message))
}

// The fields of every list type: its metadata, then its items.
const (
	listMetaTag  = 1<<3 | 2
	listItemsTag = 2<<3 | 2
)

// respondProtobufList puts a list together from the messages of its items, which need not be decoded when they
// are remembered.
func (e *endpoint) respondProtobufList(w http.ResponseWriter, r *http.Request, s shape, list *List) error {
	meta := list.meta()
	header, err := meta.Marshal()
	if err != nil {
		return fmt.Errorf("writing the metadata of a list as protobuf: %w", err)
	}
	size := fieldSize(len(header))
	var items [][]byte
	for o := range list.Items {
		item, err := e.message(s, o)
		if err != nil {
			return err
		}
		items = append(items, item)
		size += fieldSize(len(item))
	}
	kind := e.gvk.GroupVersion().WithKind(e.listKind)
	if s == shapePartial {
		kind = partialListKind
	}
	a := e.buffers.answer(w, r, http.StatusOK, protobufHeader)
	var tag [1 + binary.MaxVarintLen64]byte
	a.Write(appendField(openEnvelope(nil, kind, size), listMetaTag, header))
	for _, item := range items {
		tag[0] = listItemsTag
		a.Write(binary.AppendUvarint(tag[:1], uint64(len(item))))
		a.Write(item)
	}
	a.WriteString(envelopeTail)
	a.Close() // an error means that the client is gone, here and above
	return nil
}

// fieldSize is what a field of n bytes takes.
func fieldSize(n int) int { return 1 + (bits.Len64(uint64(n)|1)+6)/7 + n }

func appendField[T string | []byte](dst []byte, tag byte, value T) []byte {
	dst = append(dst, tag)
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}
