package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// target is the front door that a command talks to.
type target struct {
	dataDir, kubeconfig string
	flags               *pflag.FlagSet
}

func (t *target) addFlags(f *pflag.FlagSet) {
	f.StringVar(&t.dataDir, "data-dir", defaultDataDir, "Data directory of the server, for its admin.kubeconfig.")
	f.StringVar(&t.kubeconfig, "kubeconfig", "", "Kubeconfig of an administrator, instead of --data-dir. (default $KUBECONFIG, unless --data-dir is given)")
	t.flags = f
}

// connect makes a client. Nothing is sent yet.
func (t *target) connect() (*frontClient, error) {
	file := t.kubeconfig
	if file == "" && !t.flags.Changed("data-dir") {
		file = os.Getenv("KUBECONFIG")
	}
	if file == "" {
		file = filepath.Join(t.dataDir, "admin.kubeconfig")
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return nil, fmt.Errorf("reading %s (--kubeconfig, or --data-dir of a server that has been started): %w", file, err)
	}
	client, err := restclient.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return &frontClient{client, config.Host, registrar}, nil
}

// frontClient speaks to a front door as kubectl does, without the types of everything.
type frontClient struct {
	http    *http.Client
	url     string
	manager string // of the fields of what it applies
}

// get reads an object.
func (c *frontClient) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, "", nil, into)
}

// apply makes an object what is said of it, and takes over what others have said otherwise.
func (c *frontClient) apply(ctx context.Context, path string, object any) error {
	return c.applied(ctx, path, "", object)
}

// tryApply finds out whether apply would be refused.
func (c *frontClient) tryApply(ctx context.Context, path string, object any) error {
	return c.applied(ctx, path, "&dryRun=All", object)
}

func (c *frontClient) applied(ctx context.Context, path, how string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return c.do(ctx, http.MethodPatch, path+"?fieldManager="+c.manager+"&force=true"+how, "application/apply-patch+yaml", body, nil)
}

// delete deletes an object; one that there is not is no error.
func (c *frontClient) delete(ctx context.Context, path string) error {
	err := c.do(ctx, http.MethodDelete, path, "", nil, nil)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// maxTold bounds what is read of an answer.
const maxTold = 32 << 20

// fetch reads a page that is not of the API. The error of an answer that is one is a *refusal.
func (c *frontClient) fetch(ctx context.Context, path, accept string) ([]byte, error) {
	code, told, err := c.exchange(ctx, http.MethodGet, path, accept, "", nil)
	if err != nil {
		return nil, err
	}
	if code != http.StatusOK {
		return nil, &refusal{apierrors.NewGenericServerResponse(code, http.MethodGet, schema.GroupResource{}, "", "", 0, true), string(told)}
	}
	return told, nil
}

func (c *frontClient) do(ctx context.Context, verb, path, media string, body []byte, into any) error {
	code, told, err := c.exchange(ctx, verb, path, "application/json", media, body)
	if err != nil {
		return err
	}
	if code >= http.StatusBadRequest {
		var status metav1.Status
		if json.Unmarshal(told, &status) == nil && status.Kind == "Status" {
			return &apierrors.StatusError{ErrStatus: status}
		}
		return apierrors.NewGenericServerResponse(code, verb, schema.GroupResource{}, "", string(told), 0, true)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(told, into); err != nil {
		return fmt.Errorf("reading the answer to %s %s: %w", verb, path, err)
	}
	return nil
}

// exchange sends one request and reads the answer, whatever it is.
func (c *frontClient) exchange(ctx context.Context, verb, path, accept, media string, body []byte) (code int, told []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, verb, c.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Accept", accept)
	if media != "" {
		request.Header.Set("Content-Type", media)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if told, err = io.ReadAll(io.LimitReader(response.Body, maxTold)); err != nil {
		return 0, nil, fmt.Errorf("reading the answer to %s %s: %w", verb, path, err)
	}
	return response.StatusCode, told, nil
}
