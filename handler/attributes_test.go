package handler_test

import (
	"testing"

	"github.com/portico-api/portico/handler"
)

func TestSelectorsAreParsedForAuthorizersThatAsk(t *testing.T) {
	rq := &handler.Request{Info: handler.RequestInfo{FieldSelector: "metadata.name=x", LabelSelector: "a in (b,c)"}}
	fields, err := rq.GetFieldSelector()
	if err != nil || len(fields) != 1 || fields[0].Value != "x" {
		t.Errorf("GetFieldSelector() = %v, %v, want one requirement for x", fields, err)
	}
	labels, err := rq.GetLabelSelector()
	if err != nil || len(labels) != 1 || labels[0].Key() != "a" {
		t.Errorf("GetLabelSelector() = %v, %v, want one requirement on a", labels, err)
	}
	rq = &handler.Request{Info: handler.RequestInfo{FieldSelector: "nonsense", LabelSelector: "a in"}}
	if _, err := rq.GetFieldSelector(); err == nil {
		t.Error("a field selector that cannot be parsed gives no error")
	}
	if _, err := rq.GetLabelSelector(); err == nil {
		t.Error("a label selector that cannot be parsed gives no error")
	}
}
