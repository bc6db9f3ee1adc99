package authorization

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// verbBits holds the usual verbs, so that a rule which does not have the verb costs one comparison.
type verbBits uint16

const (
	bitGet verbBits = 1 << iota
	bitList
	bitWatch
	bitCreate
	bitUpdate
	bitPatch
	bitDelete
	bitDeleteCollection
)

func bitOf(verb string) verbBits {
	switch verb {
	case "get":
		return bitGet
	case "list":
		return bitList
	case "watch":
		return bitWatch
	case "create":
		return bitCreate
	case "update":
		return bitUpdate
	case "patch":
		return bitPatch
	case "delete":
		return bitDelete
	case "deletecollection":
		return bitDeleteCollection
	}
	return 0
}

// verbs are the verbs of one rule.
type verbs struct {
	any   bool
	bits  verbBits
	other []string
}

func verbsOf(names []string) verbs {
	v := verbs{any: slices.Contains(names, rbacv1.VerbAll)}
	for _, name := range names {
		if bit := bitOf(name); bit != 0 {
			v.bits |= bit
		} else {
			v.other = append(v.other, name)
		}
	}
	return v
}

func (v *verbs) have(q *query) bool {
	return v.any || v.bits&q.bit != 0 || (q.bit == 0 && slices.Contains(v.other, q.verb))
}
