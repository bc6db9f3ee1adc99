package openapi

import (
	"bytes"
	"compress/gzip"
	"sync"
)

// packer compresses; its zero value is ready. What a compressor works in is near a megabyte, many times a document: one document after another
// is compressed in the same.
type packer struct{ presses sync.Pool }

// press is a compressor and where it writes to.
type press struct {
	out bytes.Buffer
	z   *gzip.Writer
}

func (p *packer) pack(text []byte) ([]byte, error) {
	press, ok := p.presses.Get().(*press)
	if !ok {
		press = newPress()
	}
	defer p.presses.Put(press)
	press.out.Reset()
	press.z.Reset(&press.out)
	if _, err := press.z.Write(text); err != nil {
		return nil, err
	}
	if err := press.z.Close(); err != nil {
		return nil, err
	}
	return bytes.Clone(press.out.Bytes()), nil
}

// level takes half the time of the default on the schemas of real definitions, for a tenth more bytes. A client waits for it.
const level = 4

func newPress() *press {
	p := &press{}
	p.z, _ = gzip.NewWriterLevel(&p.out, level) // a level that is there
	return p
}
