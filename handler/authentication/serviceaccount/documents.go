package serviceaccount

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
)

// Paths of the documents by which others verify tokens (contract 9).
const (
	ConfigurationPath = "/.well-known/openid-configuration"
	KeysPath          = "/openid/v1/jwks"
)

// Documents are what others need to verify our tokens.
type Documents struct {
	configuration, keys []byte
}

// NewDocuments makes the documents of an issuer whose keys are published at keysURI.
func NewDocuments(issuer, keysURI string, keys []PublicKey) (*Documents, error) {
	set := struct {
		Keys []map[string]string `json:"keys"`
	}{[]map[string]string{}}
	var algorithms []string
	for _, key := range keys {
		published, err := publish(key)
		if err != nil {
			return nil, fmt.Errorf("publishing the keys of service account tokens: %w", err)
		}
		set.Keys = append(set.Keys, published)
		if alg := key.method.Alg(); !slices.Contains(algorithms, alg) {
			algorithms = append(algorithms, alg)
		}
	}
	slices.Sort(algorithms)
	configuration, err := json.Marshal(map[string]any{
		"issuer":                                issuer,
		"jwks_uri":                              keysURI,
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": algorithms,
	})
	if err != nil {
		return nil, fmt.Errorf("publishing the issuer of service account tokens: %w", err)
	}
	published, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("publishing the keys of service account tokens: %w", err)
	}
	return &Documents{configuration: configuration, keys: published}, nil
}

// publish writes a key as a JSON web key (RFC 7517, 7518).
func publish(key PublicKey) (map[string]string, error) {
	out := map[string]string{"use": "sig", "kid": key.ID, "alg": key.method.Alg()}
	number := func(n *big.Int, size int) string {
		return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, size)))
	}
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		e := big.NewInt(int64(k.E))
		out["kty"], out["n"], out["e"] = "RSA", number(k.N, k.Size()), number(e, (e.BitLen()+7)/8)
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, x, y
		if err != nil {
			return nil, err
		}
		half := len(point) / 2
		out["kty"], out["crv"] = "EC", k.Params().Name
		out["x"], out["y"] = base64.RawURLEncoding.EncodeToString(point[1:1+half]), base64.RawURLEncoding.EncodeToString(point[1+half:])
	}
	return out, nil
}

// ServeConfiguration answers who issues tokens and where the keys are.
func (d *Documents) ServeConfiguration(w http.ResponseWriter, _ *http.Request) {
	serve(w, "application/json", d.configuration)
}

// ServeKeys answers the keys.
func (d *Documents) ServeKeys(w http.ResponseWriter, _ *http.Request) {
	serve(w, "application/jwk-set+json", d.keys)
}

func serve(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Write(body)
}
