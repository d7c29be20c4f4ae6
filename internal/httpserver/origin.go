package httpserver

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

const crossOriginText = "A page of another site may not change anything here"

// crossOrigin reports whether a browser sends a changing request for a page of another site. By default the APIs do not
// authenticate, and browsers send client certificates by themselves, so any page could otherwise post to a service on
// its visitor's machine or network. Clients other than browsers send neither Origin nor Sec-Fetch-Site and are never
// cross-origin.
//
// Over plain HTTP, a page from a public host name counts as another site even if Host has the same name: the name's
// owner may have pointed it at this server after the page was loaded (DNS rebinding).
func crossOrigin(r *http.Request) bool {
	var protection http.CrossOriginProtection
	if protection.Check(r) != nil {
		return true
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err != nil || origin.Scheme == "http" && isPublic(origin.Hostname())
}

// privateSuffixes end host names that cannot be registered on the Internet. Sources: IANA, Special-Use Domain Names;
// for internal, ICANN.
var privateSuffixes = []string{".localhost", ".local", ".internal", ".home.arpa", ".test"}

// isPublic reports whether anybody may register the host name. Names of a single label are not public.
func isPublic(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !strings.Contains(host, ".") || net.ParseIP(host) != nil {
		return false
	}
	for _, suffix := range privateSuffixes {
		if strings.HasSuffix(host, suffix) {
			return false
		}
	}
	return true
}
