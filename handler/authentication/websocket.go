package authentication

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apiserver/pkg/authentication/authenticator"
)

const (
	webSocketProtocol = "Sec-Websocket-Protocol" // canonical
	webSocketToken    = "base64url.bearer.authorization.k8s.io."
)

// webSocketBearer knows users by a token among the subprotocols of a WebSocket: a browser can set no other
// header there.
type webSocketBearer struct {
	tokens authenticator.Token
}

func (b webSocketBearer) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	if !isWebSocket(r.Header) {
		return nil, false, nil
	}
	token, others, err := splitProtocols(r.Header[webSocketProtocol])
	if err != nil || token == "" {
		return nil, false, err
	}
	if len(others) == 0 {
		return nil, false, errors.New("reading the bearer token of a WebSocket: there is no other subprotocol to agree on")
	}
	response, ok, err := b.tokens.AuthenticateToken(r.Context(), token)
	if !ok && err == nil {
		err = errInvalidToken
	}
	return response, ok, err
}

// hideWebSocketToken takes the token out of the subprotocols, whichever credential was believed: it
// is the business of nobody behind us.
func hideWebSocketToken(headers http.Header) {
	protocols := headers[webSocketProtocol]
	if len(protocols) == 0 {
		return
	}
	kept := slices.DeleteFunc(strings.Split(strings.Join(protocols, ","), ","), func(protocol string) bool {
		return strings.HasPrefix(strings.TrimSpace(protocol), webSocketToken)
	})
	for i, protocol := range kept {
		kept[i] = strings.TrimSpace(protocol)
	}
	if len(kept) == 0 {
		delete(headers, webSocketProtocol)
		return
	}
	headers[webSocketProtocol] = []string{strings.Join(kept, ",")}
}

// splitProtocols takes the token out of the subprotocols, which may be spread over several headers.
func splitProtocols(headers []string) (token string, others []string, err error) {
	found := false
	for _, header := range headers {
		for protocol := range strings.SplitSeq(header, ",") {
			protocol = strings.TrimSpace(protocol)
			encoded, ok := strings.CutPrefix(protocol, webSocketToken)
			if !ok {
				others = append(others, protocol)
				continue
			}
			if found {
				return "", nil, errors.New("reading the bearer token of a WebSocket: there is more than one")
			}
			found = true
			decoded, err := base64.RawURLEncoding.DecodeString(encoded)
			if err != nil || !utf8.Valid(decoded) {
				return "", nil, errors.New("reading the bearer token of a WebSocket: it is not unpadded base64url of UTF-8")
			}
			token = string(decoded)
		}
	}
	return token, others, nil
}

func isWebSocket(headers http.Header) bool {
	upgrade := headers["Upgrade"]
	if len(upgrade) == 0 || !strings.EqualFold(upgrade[0], "websocket") {
		return false
	}
	for _, header := range headers["Connection"] {
		for option := range strings.SplitSeq(header, ",") {
			if strings.EqualFold(strings.TrimSpace(option), "upgrade") {
				return true
			}
		}
	}
	return false
}
