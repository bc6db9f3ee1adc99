package audit

import (
	"strconv"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
)

// appendLegacy appends the line of text that was written before there was JSON, for readers of such logs.
func (e *event) appendLegacy(dst []byte) []byte {
	name, groups := namesOf(e.user, "<none>", "<none>")
	as, asGroups := namesOf(e.impersonated, "<self>", "<lookup>")
	ip, namespace, response := "<unknown>", "<none>", "<deferred>"
	if len(e.record.SourceIPs) > 0 {
		ip = e.record.SourceIPs[0]
	}
	if n := or(e.request.Info.Namespace, e.kept.Namespace); n != "" {
		namespace = n
	}
	if e.kept.Status != nil {
		response = strconv.Itoa(int(e.kept.Status.Code))
	}
	dst = e.request.ReceivedAt.UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, " AUDIT:"...)
	for _, field := range []struct{ name, value string }{
		{"id", e.id}, {"stage", string(e.stage)}, {"ip", ip}, {"method", e.request.Info.Verb}, {"user", name}, {"groups", groups},
		{"as", as}, {"asgroups", asGroups}, {"user-agent", e.record.UserAgent}, {"namespace", namespace}, {"uri", e.uri}, {"response", response},
	} {
		dst = append(dst, ' ')
		dst = append(dst, field.name...)
		dst = append(dst, '=')
		dst = strconv.AppendQuote(dst, field.value)
	}
	return dst
}

// namesOf are the name of a user and its groups, quoted and with commas between them.
func namesOf(u user.Info, nobody, none string) (name, groups string) {
	if u == nil {
		return nobody, none
	}
	var list []byte
	for i, group := range u.GetGroups() {
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendQuote(list, group)
	}
	if len(list) == 0 {
		return u.GetName(), none
	}
	return u.GetName(), string(list)
}
