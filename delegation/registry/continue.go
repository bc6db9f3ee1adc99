package registry

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const tokenVersion = "meta.k8s.io/v1"

// inconsistent is the revision in a token whose holder accepts the newest state for the rest of the list.
const inconsistent = -1

// continueToken says where the next page of a list begins.
type continueToken struct {
	Version  string `json:"v"`
	Revision int64  `json:"rv"`
	Start    string `json:"start"`
}

func (t continueToken) encode() string {
	t.Version = tokenVersion
	body, err := json.Marshal(t)
	if err != nil {
		panic(fmt.Sprintf("encoding a continue token: %v", err)) // two strings and a number
	}
	return base64.RawURLEncoding.EncodeToString(body)
}

func parseContinue(text string) (continueToken, error) {
	var t continueToken
	body, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(body, &t)
	}
	switch {
	case err != nil:
		return t, apierrors.NewBadRequest("continue key is not valid: it cannot be read")
	case t.Version != tokenVersion:
		return t, apierrors.NewBadRequest(fmt.Sprintf("continue key is not valid: server does not recognize this encoded version %q", t.Version))
	case t.Start == "" || t.Revision == 0 || t.Revision < inconsistent:
		return t, apierrors.NewBadRequest("continue key is not valid: incorrect encoded start or resourceVersion")
	}
	return t, nil
}

// expiredToken answers a page whose state is gone. It carries a token for the rest of the list as it is
// now, for who can live with what has changed in between.
func expiredToken(t continueToken) error {
	t.Revision = inconsistent
	err := apierrors.NewResourceExpired("The provided continue parameter is too old to display a consistent list result. " +
		"Start a new list without it, or go on with the token in this answer: the rest is then listed as it is now, and what was " +
		"created, changed or deleted since the first page may show or be missing.")
	err.ErrStatus.ListMeta = metav1.ListMeta{Continue: t.encode()}
	return err
}
