// Package apidocs serves the documents that describe an API, an index of its operations, and a page that shows them in
// a browser: Swagger UI, from this binary alone.
package apidocs

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	ui "github.com/swaggest/swgui/v5/static"

	"github.com/blox/blox/internal/httpserver"
)

//go:embed page
var page embed.FS

// policy restricts the page to resources of the service itself. Swagger UI sets style attributes.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var files = func() map[string]file {
	read := func(b []byte, err error) []byte {
		if err != nil {
			panic(err) // it is not embedded
		}
		return b
	}
	files := map[string]file{
		"":                     newFile("text/html; charset=utf-8", zipped(read(page.ReadFile("page/docs.html")))),
		"docs.js":              newFile("text/javascript; charset=utf-8", zipped(read(page.ReadFile("page/docs.js")))),
		"swagger-ui-bundle.js": newFile("text/javascript; charset=utf-8", read(ui.FS.ReadFile("swagger-ui-bundle.js.gz"))),
		"swagger-ui.css":       newFile("text/css; charset=utf-8", read(ui.FS.ReadFile("swagger-ui.css.gz"))),
		"favicon-32x32.png":    newFile("image/png", zipped(read(ui.FS.ReadFile("favicon-32x32.png")))),
	}
	return files
}()

// file is a served file, compressed with gzip.
type file struct {
	media, tag string
	zipped     []byte
}

func newFile(media string, zipped []byte) file {
	return file{media, fmt.Sprintf("%.12x", sha256.Sum256(zipped)), zipped}
}

func zipped(plain []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(plain) // a buffer takes all
	_ = w.Close()
	return b.Bytes()
}

// Register adds to mux the index at GET /v1, the documents at GET /v1/swagger.json and /v1/openapi.json, and the page
// that shows them at GET /docs, with its files below.
func Register(mux *http.ServeMux, spec Spec) {
	mux.HandleFunc("GET /v1", indexHandler(newIndex(spec)))
	mux.Handle("GET /v1/swagger.json", httpserver.SpecHandler(spec.Swagger))
	mux.Handle("GET /v1/openapi.json", httpserver.SpecHandler(spec.OpenAPI))
	mux.HandleFunc("GET /docs", serve)
	mux.HandleFunc("GET /docs/{file}", serve)
}

func serve(w http.ResponseWriter, r *http.Request) {
	f, found := files[r.PathValue("file")]
	if !found {
		httpserver.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-cache") // revalidate, as an update may change the file
	header.Set("Vary", "Accept-Encoding")
	header.Set("Content-Type", f.media)
	name := path.Base(r.URL.Path)
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		header.Set("Content-Encoding", "gzip")
		header.Set("ETag", `"`+f.tag+`-gzip"`)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.zipped))
		return
	}
	reader, err := gzip.NewReader(bytes.NewReader(f.zipped))
	if err != nil {
		panic(err) // it is embedded, and the tests read it
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		panic(err)
	}
	header.Set("ETag", `"`+f.tag+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(plain))
}
