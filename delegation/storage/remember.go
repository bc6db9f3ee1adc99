package storage

// otherForm is an object in another form than JSON.
type otherForm struct {
	form  any
	bytes []byte
	shown *Object // when the form is another version
}

// Remember returns the object in form, as encode makes it. It is kept from the second time on that
// anybody asks for another form than JSON: the memory is spent on objects that are read so, and one list of
// everything does not double what a resource takes. Only one form is kept. The bytes must not be changed.
func (o *Object) Remember(form any, encode func() ([]byte, error)) ([]byte, error) {
	kept := o.other.Load()
	if kept != nil && kept.form == form {
		return kept.bytes, nil
	}
	bytes, err := encode()
	if err != nil {
		return nil, err
	}
	if o.asked.Swap(true) && kept == nil {
		// Two readers may make it at once; either result is right.
		o.other.CompareAndSwap(nil, &otherForm{form: form, bytes: bytes})
	}
	return bytes, nil
}

// ShownIn is the object in another version, if it is remembered.
func (o *Object) ShownIn(version any) (*Object, bool) {
	if kept := o.other.Load(); kept != nil && kept.form == version && kept.shown != nil {
		return kept.shown, true
	}
	return nil, false
}

// RememberIn notes what the object is in another version. Like any other form, it is kept from the second time on.
func (o *Object) RememberIn(version any, shown *Object) {
	if o.asked.Swap(true) && o.other.Load() == nil {
		o.other.CompareAndSwap(nil, &otherForm{form: version, shown: shown})
	}
}
