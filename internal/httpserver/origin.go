package httpserver

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

const foreignPage = "A page of another site may not change anything here"

// foreign tells whether a browser sends the request for a page of another site, which must not change anything: a form or a
// script anywhere may post to a service on the machine or in the network of who looks at it, and the APIs ask nobody who they are.
// What is no browser sends neither Origin nor Sec-Fetch-Site, and is never foreign.
//
// Over plain http a page is also foreign when it comes from a name that anybody may own, though Host says the same name: its owner
// may have let it point here after the page was loaded.
func foreign(r *http.Request) bool {
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

// private is the ends of names that nobody can own on the Internet. Source: IANA, Special-Use Domain Names; and ICANN for internal.
var private = []string{".localhost", ".local", ".internal", ".home.arpa", ".test"}

// isPublic tells whether a host is a name that anybody may own; a single label is none.
func isPublic(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !strings.Contains(host, ".") || net.ParseIP(host) != nil {
		return false
	}
	for _, end := range private {
		if strings.HasSuffix(host, end) {
			return false
		}
	}
	return true
}
