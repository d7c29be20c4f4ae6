package access

import (
	"context"
	"fmt"
	"net/http"

	"github.com/blox/blox/internal/httpserver"
)

// Codes of the errors of this package, as in httpserver.Problem.
const (
	CodeUnauthenticated = "Unauthenticated"
	CodeForbidden       = "Forbidden"
	CodeReadOnly        = "ReadOnlyListener"
)

// denial is a response to a request of an unknown client.
type denial struct {
	problem   httpserver.Problem
	challenge string // WWW-Authenticate, RFC 6750
}

var noCredentials = denial{
	httpserver.Problem{
		Status: http.StatusUnauthorized, Code: CodeUnauthenticated,
		Detail: "The request has no credentials: send a bearer token or a client certificate",
		Hint:   "Send the header Authorization: Bearer TOKEN. \"blox token create\" creates a token.",
	}, "Bearer",
}

var invalidToken = denial{
	httpserver.Problem{
		Status: http.StatusUnauthorized, Code: CodeUnauthenticated,
		Detail: "The bearer token is unknown or has expired",
		Hint:   "The service's --access-file lists the tokens. \"blox token create\" creates a token.",
	}, `Bearer error="invalid_token"`,
}

// forbidden is the response to a client whose role is too low.
func forbidden(r *http.Request, c client, needed Role) httpserver.Problem {
	has := "has the role " + c.role.String()
	if c.role == Public {
		has = "has no role"
	}
	return httpserver.Problem{
		Status: http.StatusForbidden, Code: CodeForbidden,
		Detail: fmt.Sprintf("%s %s; %s %.200s needs the role %s", c.Name, has, r.Method, r.URL.Path, needed),
		Hint:   "The service's --access-file has the roles.",
	}
}

// readOnlyKey is the key of a context's value.
type readOnlyKey struct{}

// IsReadOnly reports whether the request came to the address of --read-only-bind.
func IsReadOnly(r *http.Request) bool { return r.Context().Value(readOnlyKey{}) != nil }

// readOnly is for httpserver.WithAuthorization. It accepts GET and HEAD only.
func readOnly(w http.ResponseWriter, r *http.Request) (authorized *http.Request, ok bool) {
	w.Header().Set(HeaderRole, Viewer.String())
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return r.WithContext(context.WithValue(r.Context(), readOnlyKey{}, true)), true
	}
	w.Header().Set("Allow", "GET, HEAD")
	httpserver.Error(w, r, httpserver.Problem{
		Status: http.StatusMethodNotAllowed, Code: CodeReadOnly,
		Detail: "This address serves GET and HEAD only",
		Hint:   "Send changes to the service's --bind address.",
	})
	return r, false
}
