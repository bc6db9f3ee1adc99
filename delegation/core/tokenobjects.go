package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/portico-api/portico/delegation/core/bootstraptokens"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/authentication/serviceaccount"
)

// errNoSuchKind: this server has no objects of the kind.
var errNoSuchKind = errors.New("there are no objects of the kind")

// tokenObjects are the objects that tokens are bound to, as this process knows them.
type tokenObjects struct {
	stores map[serviceaccount.Kind]*registry.Store
}

func newTokenObjects(s *stores) *tokenObjects {
	return &tokenObjects{stores: map[serviceaccount.Kind]*registry.Store{
		serviceaccount.Account: s.serviceAccounts,
		serviceaccount.Secret:  s.secrets,
		serviceaccount.Pod:     s.pods, // nil, like nodes, when workloads are not served
		serviceaccount.Node:    s.nodes,
	}}
}

// TokenObjects are what the verifier of service account tokens looks at.
func (s *Server) TokenObjects() serviceaccount.Objects { return newTokenObjects(s.stores) }

// BootstrapTokens knows users by the tokens in secrets, as this process knows them.
func (s *Server) BootstrapTokens() *bootstraptokens.Authenticator {
	return bootstraptokens.NewAuthenticator(func(ctx context.Context, name string) (*corev1.Secret, error) {
		// From memory: anybody may guess tokens, and that must cost the store nothing.
		o, err := s.stores.secrets.Get(ctx, metav1.NamespaceSystem, name, &metav1.GetOptions{ResourceVersion: "0"})
		if err != nil {
			return nil, err
		}
		secret := &corev1.Secret{}
		if err := json.Unmarshal(o.JSON(), secret); err != nil {
			return nil, fmt.Errorf("decoding it: %w", err)
		}
		return secret, nil
	})
}

// Version implements serviceaccount.Objects.
func (t *tokenObjects) Version(kind serviceaccount.Kind, namespace, name string) (int64, bool) {
	store := t.stores[kind]
	if store == nil {
		return 0, false
	}
	return store.Version(context.Background(), namespace, name) // it waits for nothing that could end
}

// State implements serviceaccount.Objects. Who has been told of a token of an account that was made a moment ago at another
// replica may show it here before this process has heard of the account, so the store is asked.
func (t *tokenObjects) State(ctx context.Context, kind serviceaccount.Kind, namespace, name string) (serviceaccount.State, error) {
	store := t.stores[kind]
	if store == nil {
		return serviceaccount.State{}, fmt.Errorf("%w: %s", errNoSuchKind, kind)
	}
	o, err := store.Get(ctx, namespace, name, nil)
	if err != nil {
		return serviceaccount.State{}, err
	}
	var stored struct {
		Metadata struct {
			UID               types.UID    `json:"uid"`
			DeletionTimestamp *metav1.Time `json:"deletionTimestamp"`
		} `json:"metadata"`
		Spec struct {
			ServiceAccountName string `json:"serviceAccountName"`
			NodeName           string `json:"nodeName"`
		} `json:"spec"`
		Data map[string][]byte `json:"data"`
	}
	if err := json.Unmarshal(o.JSON(), &stored); err != nil {
		return serviceaccount.State{}, fmt.Errorf("reading %s %s/%s: %w", kind, namespace, name, err)
	}
	state := serviceaccount.State{
		UID: string(stored.Metadata.UID), Revision: o.ResourceVersion(), Token: string(stored.Data[corev1.ServiceAccountTokenKey]),
		Account: stored.Spec.ServiceAccountName, Node: stored.Spec.NodeName,
	}
	if at := stored.Metadata.DeletionTimestamp; at != nil {
		state.Deleted = at.Time
	}
	return state, nil
}

// installTokenDocuments publishes what others need to verify tokens.
func (s *Server) installTokenDocuments(d *serviceaccount.Documents) {
	s.Handler.NonGoRestfulMux.Update(func(p *handler.Paths) {
		p.Handle(serviceaccount.ConfigurationPath, http.HandlerFunc(d.ServeConfiguration))
		p.Handle(serviceaccount.KeysPath, http.HandlerFunc(d.ServeKeys))
	})
}
