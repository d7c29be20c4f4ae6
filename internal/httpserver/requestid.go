package httpserver

import (
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"regexp"

	"github.com/sirupsen/logrus"
)

// RequestIDHeader carries the id of a request: in the request if the client chooses it, and in every response.
const RequestIDHeader = "X-Request-Id"

// wellFormedID accepts UUIDs, trace ids and what proxies generate, and nothing that could disturb a log.
var wellFormedID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:=+/@-]{0,127}$`)

// assignID gives a request its id: the client's if it is well-formed, else a new one. The request's header then holds
// the id for its handlers, and the response's header for the client.
func assignID(w http.ResponseWriter, r *http.Request) {
	given := r.Header[RequestIDHeader]
	if len(given) != 1 || !wellFormedID.MatchString(given[0]) {
		given = []string{newID()}
		r.Header[RequestIDHeader] = given
	}
	w.Header()[RequestIDHeader] = given
}

// newID returns 32 random hexadecimal digits. The id finds log lines and protects nothing.
func newID() string {
	var id [16]byte
	for i := range 2 {
		for n, bits := 0, rand.Uint64(); n < 8; n, bits = n+1, bits>>8 {
			id[8*i+n] = byte(bits)
		}
	}
	return hex.EncodeToString(id[:])
}

// RequestLog returns log with the fields that every line about a request has: its id and its client.
func RequestLog(log logrus.FieldLogger, r *http.Request) logrus.FieldLogger {
	fields := logrus.Fields{"client": Client(r)}
	if id := r.Header.Get(RequestIDHeader); id != "" {
		fields["requestId"] = id
	}
	return log.WithFields(fields)
}

// changes reports whether the method may change something. Such requests are logged at info level.
func changes(method string) bool {
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return true
	}
	return false
}
