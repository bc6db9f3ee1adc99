// Package bootstraptokens lets programs in that have nothing yet but a token from a secret in kube-system, such as a machine that is to
// ask for its certificate. It stands beside a request's way: authentication asks it about tokens of that form.
package bootstraptokens
