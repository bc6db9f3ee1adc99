package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// validateProxyTrust returns the first mistake in what is told to extension servers about this proxy,
// and to this server about others.
func (o *options) validateProxyTrust() error {
	if (o.requestHeaderCAFile == "") != (o.proxyClientCertFile == "") {
		return errors.New("--requestheader-client-ca-file and --proxy-client-cert-file go together: extension servers accept only a proxy whose certificate that authority signed")
	}
	for _, needed := range []struct {
		flag, header string
		given        []string
	}{
		{"--requestheader-username-headers", "X-Remote-User", o.requestHeaderUsername},
		{"--requestheader-group-headers", "X-Remote-Group", o.requestHeaderGroup},
	} {
		if !slices.ContainsFunc(needed.given, func(given string) bool { return strings.EqualFold(given, needed.header) }) {
			return fmt.Errorf("%s lacks %s, by which this proxy tells extension servers who asks: add it", needed.flag, needed.header)
		}
	}
	return nil
}

// checkProxyTrust finds mistakes that only show in the content of the files.
func (id *identity) checkProxyTrust() error {
	allowed := id.opts.requestHeaderNames
	_, users := id.clientCA.Bundle()
	_, proxies := id.requestHeaderCA.Bundle()
	if len(allowed) == 0 && shareCertificate(users, proxies) {
		return fmt.Errorf("an authority is in %s and in %s, and --requestheader-allowed-names is empty: every user could claim to be anybody; use two authorities", id.clientCA, id.requestHeaderCA)
	}
	// Extension servers are told the same names, and would take every user for anonymous.
	name := id.proxyClient.Current().Leaf.Subject.CommonName
	if len(allowed) > 0 && !slices.Contains(allowed, name) {
		return fmt.Errorf("--requestheader-allowed-names lacks %q, the name in the proxy client certificate %s: extension servers would not believe this proxy; add it", name, id.proxyClient)
	}
	return nil
}

// shareCertificate tells whether one certificate is in both PEM bundles.
func shareCertificate(a, b []byte) bool {
	var seen [][]byte
	for block, rest := pem.Decode(a); block != nil; block, rest = pem.Decode(rest) {
		seen = append(seen, block.Bytes)
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if slices.ContainsFunc(seen, func(der []byte) bool { return bytes.Equal(der, block.Bytes) }) {
			return true
		}
	}
	return false
}
