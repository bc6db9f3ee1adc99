package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

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
		return nil, &refusal{refused(code, http.MethodGet, told), string(told)}
	}
	return told, nil
}

func (c *frontClient) do(ctx context.Context, verb, path, media string, body []byte, into any) error {
	code, told, err := c.exchange(ctx, verb, path, "application/json", media, body)
	if err != nil {
		return err
	}
	if code >= http.StatusBadRequest {
		return refused(code, verb, told)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(told, into); err != nil {
		return fmt.Errorf("reading the answer to %s %s: %w", verb, path, err)
	}
	return nil
}

// refused is the error of an answer: its Status, or else what it says in other words, on one line.
func refused(code int, verb string, told []byte) *apierrors.StatusError {
	var status metav1.Status
	if json.Unmarshal(told, &status) == nil && status.Kind == "Status" && status.Message != "" {
		return &apierrors.StatusError{ErrStatus: status}
	}
	return apierrors.NewGenericServerResponse(code, verb, schema.GroupResource{}, "", strings.Join(strings.Fields(string(told)), " "), 0, true)
}

// exchange sends one request and reads the answer, whatever it is.
func (c *frontClient) exchange(ctx context.Context, verb, path, accept, media string, body []byte) (code int, told []byte, err error) {
	response, err := c.send(ctx, verb, path, accept, media, body)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if told, err = io.ReadAll(io.LimitReader(response.Body, maxTold)); err != nil {
		return 0, nil, fmt.Errorf("reading the answer to %s %s: %w", verb, path, err)
	}
	return response.StatusCode, told, nil
}

// copy reads an answer that is too large to be kept.
func (c *frontClient) copy(ctx context.Context, path string, w io.Writer) error {
	response, err := c.send(ctx, http.MethodGet, path, "*/*", "", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		told, _ := io.ReadAll(io.LimitReader(response.Body, maxTold))
		return refused(response.StatusCode, http.MethodGet, told)
	}
	if _, err := io.Copy(w, response.Body); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

func (c *frontClient) send(ctx context.Context, verb, path, accept, media string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, verb, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	if media != "" {
		request.Header.Set("Content-Type", media)
	}
	return c.http.Do(request)
}
