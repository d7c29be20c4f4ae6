package api

import (
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// minCompressedSize is the size in bytes below which compression does not pay.
const minCompressedSize = 4 << 10

// compress serves a list in gzip to clients that accept it. A list of tasks shrinks to a tenth. Other clients do not
// pay for the wrapper.
var compress = func() func(http.HandlerFunc) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(minCompressedSize), gzhttp.CompressionLevel(1))
	if err != nil {
		panic(err) // only invalid options fail
	}
	return func(list http.HandlerFunc) http.Handler {
		compressed := wrap(list)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				compressed.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Vary", "Accept-Encoding")
			list(w, r)
		})
	}
}()
