// Package audit is what is written down of requests: which of them and how much, as the policy says, in which form, and where. The filters tell it
// when a request comes to a stage; what there is to say of the request has been collected in its [handler.Record] by then.
package audit
