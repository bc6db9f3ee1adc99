package serviceaccount

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/golang-jwt/jwt/v5"
)

// PublicKey is a key that tokens are verified with.
type PublicKey struct {
	ID  string // of the key, as tokens name it
	Key crypto.PublicKey

	method jwt.SigningMethod
}

// newPublicKey gives a key its ID, which is made of the key itself, and its algorithm.
func newPublicKey(key crypto.PublicKey) (PublicKey, error) {
	method, err := methodOf(key)
	if err != nil {
		return PublicKey{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return PublicKey{}, fmt.Errorf("encoding a public key: %w", err)
	}
	hash := sha256.Sum256(der)
	return PublicKey{ID: base64.RawURLEncoding.EncodeToString(hash[:]), Key: key, method: method}, nil
}

func methodOf(key crypto.PublicKey) (jwt.SigningMethod, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return jwt.SigningMethodRS256, nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return jwt.SigningMethodES256, nil
		case elliptic.P384():
			return jwt.SigningMethodES384, nil
		case elliptic.P521():
			return jwt.SigningMethodES512, nil
		}
	}
	return nil, errors.New("it is neither an RSA key nor an ECDSA key on P-256, P-384 or P-521")
}

// ReadPublicKeys reads all keys of a PEM file: public ones, those of certificates, and the public halves of private ones.
func ReadPublicKeys(file string) ([]PublicKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var keys []PublicKey
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		parsed, err := parsePublic(block)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		if parsed == nil {
			continue
		}
		key, err := newPublicKey(parsed)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("reading %s: there is no key in PEM in it", file)
	}
	return keys, nil
}

// parsePublic returns nil for blocks of other kinds, such as the parameters that openssl writes before a key.
func parsePublic(block *pem.Block) (crypto.PublicKey, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
		signer, err := parsePrivate(block)
		if err != nil {
			return nil, err
		}
		return signer.Public(), nil
	}
	return nil, nil
}

func parsePrivate(block *pem.Block) (crypto.Signer, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("its key cannot sign")
	}
	return signer, nil
}

// readSigner reads the first private key of a PEM file.
func readSigner(file string) (crypto.Signer, PublicKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, PublicKey{}, err
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, PublicKey{}, fmt.Errorf("reading %s: there is no private key in PEM in it", file)
		}
		switch block.Type {
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
			signer, err := parsePrivate(block)
			if err != nil {
				return nil, PublicKey{}, fmt.Errorf("reading %s: %w", file, err)
			}
			public, err := newPublicKey(signer.Public())
			if err != nil {
				return nil, PublicKey{}, fmt.Errorf("reading %s: %w", file, err)
			}
			return signer, public, nil
		}
	}
}
