package wire

import "sync"

// Two sizes of read buffers: a watch that waits for days holds a small one, a long list is read in
// large parts.
const (
	smallBuffer = 4 << 10
	largeBuffer = 32 << 10
)

// Buffers lends the read and write buffers of connections; its zero value is empty. A connection
// holds one only while an exchange is on it. Made anew for every answer they would be nearly half of
// all bytes that a busy proxy allocates.
type Buffers struct {
	small, large sync.Pool
}

func (b *Buffers) getSmall() []byte {
	if p, ok := b.small.Get().(*[smallBuffer]byte); ok {
		return p[:]
	}
	return make([]byte, smallBuffer)
}

func (b *Buffers) getLarge() []byte {
	if p, ok := b.large.Get().(*[largeBuffer]byte); ok {
		return p[:]
	}
	return make([]byte, largeBuffer)
}

// put takes back what was lent, whole. A buffer of another size is one that grew for a long head.
func (b *Buffers) put(buffer []byte) {
	switch cap(buffer) {
	case smallBuffer:
		b.small.Put((*[smallBuffer]byte)(buffer[:smallBuffer]))
	case largeBuffer:
		b.large.Put((*[largeBuffer]byte)(buffer[:largeBuffer]))
	}
}
