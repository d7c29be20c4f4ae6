package api

import (
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// compressed serves a list in gzip to those who accept it, unless it is small: a list of tasks shrinks to a tenth, at a cost
// that nobody else has to bear.
var compressed = func() func(http.HandlerFunc) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(4<<10), gzhttp.CompressionLevel(1))
	if err != nil {
		panic(err) // the options above are wrong
	}
	return func(list http.HandlerFunc) http.Handler {
		zipped := wrap(list)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				zipped.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Vary", "Accept-Encoding")
			list(w, r)
		})
	}
}()
