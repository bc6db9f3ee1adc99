package core

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"slices"
	"time"
)

// Trust is what others are told about this server: who vouches for users, and who for it.
type Trust struct {
	// ServingCA verifies this server; programs find it in each namespace's kube-root-ca.crt.
	ServingCA []byte
	// ClientCA verifies client certificates, RequestHeaderCA those of front proxies.
	ClientCA, RequestHeaderCA []byte
	// The headers in which a front proxy asserts an identity, and the names its certificate may have.
	UsernameHeaders, UIDHeaders, GroupHeaders, ExtraHeaderPrefixes, AllowedNames []string
}

// TrustSource is where Trust comes from.
type TrustSource interface {
	// Trust is what holds now.
	Trust() Trust
	// OnTrustChange has notify called after Trust has changed. It must not block.
	OnTrustChange(notify func())
}

// The keys of the config map extension-apiserver-authentication (contract 5.7).
const (
	clientCAKey              = "client-ca-file"
	requestHeaderCAKey       = "requestheader-client-ca-file"
	usernameHeadersKey       = "requestheader-username-headers"
	uidHeadersKey            = "requestheader-uid-headers"
	groupHeadersKey          = "requestheader-group-headers"
	extraHeaderPrefixesKey   = "requestheader-extra-headers-prefix"
	allowedNamesKey          = "requestheader-allowed-names"
	expiredCertificateMargin = 5 * time.Minute
)

// mergeInto returns the config map's data with t merged into what is stored: another replica may
// have another CA for a while, and extension servers must accept users of both. What is stored and
// cannot be read is replaced, keys that are not ours are kept.
func (t *Trust) mergeInto(stored map[string]string, now time.Time) map[string]string {
	data := make(map[string]string, len(stored)+7)
	for key, value := range stored {
		data[key] = value
	}
	set := func(key, value string) {
		if value == "" {
			delete(data, key)
		} else {
			data[key] = value
		}
	}
	set(clientCAKey, mergeBundles(t.ClientCA, stored[clientCAKey], now))
	if len(t.RequestHeaderCA) == 0 {
		return data
	}
	set(requestHeaderCAKey, mergeBundles(t.RequestHeaderCA, stored[requestHeaderCAKey], now))
	for key, values := range map[string][]string{
		usernameHeadersKey:     t.UsernameHeaders,
		uidHeadersKey:          t.UIDHeaders,
		groupHeadersKey:        t.GroupHeaders,
		extraHeaderPrefixesKey: t.ExtraHeaderPrefixes,
		allowedNamesKey:        t.AllowedNames,
	} {
		set(key, mergeLists(values, stored[key]))
	}
	return data
}

// mergeBundles joins two PEM bundles, each certificate once, ours first, without those that have
// been expired for a while.
func mergeBundles(ours []byte, stored string, now time.Time) string {
	var certificates [][]byte
	for _, bundle := range [][]byte{ours, []byte(stored)} {
		for {
			var block *pem.Block
			if block, bundle = pem.Decode(bundle); block == nil {
				break
			}
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil || block.Type != "CERTIFICATE" || now.After(cert.NotAfter.Add(expiredCertificateMargin)) {
				continue
			}
			if !slices.ContainsFunc(certificates, func(other []byte) bool { return bytes.Equal(other, block.Bytes) }) {
				certificates = append(certificates, block.Bytes)
			}
		}
	}
	var out bytes.Buffer
	for _, der := range certificates {
		// Writing into memory does not fail.
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return out.String()
}

// mergeLists joins two lists as a JSON array, each value once, ours first.
func mergeLists(ours []string, stored string) string {
	var theirs []string
	if json.Unmarshal([]byte(stored), &theirs) != nil {
		theirs = nil
	}
	merged := []string{}
	for _, value := range append(slices.Clone(ours), theirs...) {
		if !slices.Contains(merged, value) {
			merged = append(merged, value)
		}
	}
	array, _ := json.Marshal(merged) // a list of strings always marshals
	return string(array)
}
