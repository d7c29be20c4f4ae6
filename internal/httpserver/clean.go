package httpserver

import (
	"net/http"
	"path"
	"strings"
)

// Clean is mux for clean paths. Others, with a trailing or a doubled slash or with dot segments, are redirected to the
// clean one on this server, with their query: GET and HEAD by 301, what has a body by 308. Encoded slashes and
// dots belong to a segment and stay as they are.
//
// A path that lacks all of a pattern's last wildcard is not found: GET /tasks/prod, where the mux serves
// GET /tasks/{cluster}/{arn...}. The mux alone would redirect it to an empty ARN.
func Clean(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.URL.EscapedPath()
		if !strings.HasPrefix(given, "/") { // OPTIONS *
			mux.ServeHTTP(w, r)
			return
		}
		if clean := path.Clean(given); clean != given {
			redirect(w, r, clean)
			return
		}
		get := &http.Request{Method: http.MethodGet, URL: r.URL, Host: r.Host} // a path that is none is none by any method
		if _, pattern := mux.Handler(get); strings.Count(pattern, "/") > strings.Count(given, "/") {
			http.NotFound(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func redirect(w http.ResponseWriter, r *http.Request, path string) {
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	status := http.StatusPermanentRedirect
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	http.Redirect(w, r, path, status)
}
