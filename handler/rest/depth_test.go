package rest

import (
	"encoding/binary"
	"strings"
	"testing"
)

func nested(levels int) string {
	return strings.Repeat(`{"a":[`, levels/2) + strings.Repeat(`]}`, levels/2)
}

func TestADeepBodyIsToldByItsBrackets(t *testing.T) {
	for body, deeper := range map[string]bool{
		nested(10):                      false,
		nested(12):                      true,
		`{"a":"[[[[[[[[[[[["}`:          false,
		`{"a":"\"[[[[[[[[[[[["}`:        false,
		`{"a":"\\"}` + nested(12):       true,
		`{"[[[[[[[[[[[[":1}`:            false,
		strings.Repeat(`[[]],`, 100):    false,
		strings.Repeat(`[[[[[]]]]`, 11): true,
		`{"a":"`:                        false,
		`{"a":"\`:                       false,
		``:                              false,
	} {
		if got := isDeeper([]byte(body), 10); got != deeper {
			t.Errorf("%s: deeper: %v, want %v", body, got, deeper)
		}
	}
}

func TestThePathToADeepPartIsTold(t *testing.T) {
	for body, path := range map[string]string{
		`{"x":{"y":[1]},"a":[{},{"b":1,"c":` + nested(10) + `}]}`: "a[1].c.a[0].a[0].a",
		strings.Repeat("[", 20):                                   "[0][0][0][0][0][0][0]",
		`[1,2,[3,` + nested(12) + `]]`:                            "[2][1].a[0].a[0].a[0]",
	} {
		if got := pathOfDeepest([]byte(body), 10).String(); !strings.HasPrefix(got, path) {
			t.Errorf("%s: got %s, want %s", body, got, path)
		}
	}
}

// field is a field of a message that holds content.
func lengthField(number int, content []byte) []byte {
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(number)<<3|2), uint64(len(content))), content...)
}

func TestADeepMessageIsTold(t *testing.T) {
	deep := []byte(nil)
	for range 20 {
		deep = lengthField(28, deep)
	}
	shallow := lengthField(1, lengthField(2, []byte("a text that is no message")))
	overlong := append([]byte{0xe2, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7e}, lengthField(28, deep)[2:]...) // 28<<3|2, and what is more than 64 bits
	for name, c := range map[string]struct {
		message []byte
		deeper  bool
	}{
		"nothing":                       {nil, false},
		"shallow":                       {shallow, false},
		"many shallow":                  {[]byte(strings.Repeat(string(shallow), 100)), false},
		"deep":                          {deep, true},
		"deep after other fields":       {append([]byte{1 << 3, 5, 2<<3 | 1, 0, 0, 0, 0, 0, 0, 0, 0, 3<<3 | 5, 0, 0, 0, 0}, deep...), true},
		"deep in a group":               {append([]byte{1<<3 | 3}, deep...), true},
		"deep before something broken":  {append(append([]byte(nil), deep...), 0xff), true},
		"deep behind an overlong tag":   {overlong, true},
		"broken":                        {[]byte{0xff, 0xff}, false},
		"longer than it is":             {[]byte{1<<3 | 2, 100, 1}, false},
		"more than there can be":        {append([]byte{1<<3 | 2}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), false},
		"an unknown type":               {[]byte{1<<3 | 7}, false},
		"a number that ends with it":    {[]byte{1<<3 | 1, 0}, false},
		"a text of what looks like one": {lengthField(1, []byte(strings.Repeat("\n", 1000))), false},
	} {
		if got := messageDepth(c.message, 10) > 10; got != c.deeper {
			t.Errorf("%s: deeper: %v, want %v", name, got, c.deeper)
		}
	}
}
