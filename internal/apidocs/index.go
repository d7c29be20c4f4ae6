package apidocs

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/blox/blox/internal/httpserver"
	"github.com/blox/blox/internal/version"
)

// Spec holds the documents that describe an API.
type Spec struct {
	Swagger []byte // Swagger 2.0
	OpenAPI []byte // OpenAPI 3.0, converted from Swagger
}

// Index is the response to GET /v1. All links are relative to it.
type Index struct {
	Service    string      `json:"service"`
	Version    string      `json:"version"`
	Page       string      `json:"page"`
	Docs       string      `json:"docs"`
	OpenAPI    string      `json:"openapi"`
	Swagger    string      `json:"swagger"`
	Operations []Operation `json:"operations"`
}

// Operation is one operation of the API.
type Operation struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Tag     string `json:"tag"`
	Summary string `json:"summary"`
}

// newIndex panics if the embedded document cannot be decoded.
func newIndex(spec Spec) Index {
	var document struct {
		Info     struct{ Title string }
		BasePath string
		Paths    map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(spec.Swagger, &document); err != nil {
		panic(fmt.Errorf("decode the API's document: %w", err))
	}
	index := Index{
		Service: document.Info.Title, Version: version.String(),
		Page: "./", Docs: "docs", OpenAPI: "v1/openapi.json", Swagger: "v1/swagger.json",
	}
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		for _, method := range methods {
			raw, found := document.Paths[path][method]
			if !found {
				continue
			}
			var operation struct {
				Tags    []string
				Summary string
			}
			if err := json.Unmarshal(raw, &operation); err != nil {
				panic(fmt.Errorf("decode %s %s: %w", method, path, err))
			}
			index.Operations = append(index.Operations, Operation{
				Method: strings.ToUpper(method), Path: document.BasePath + path, Summary: operation.Summary,
				Tag: strings.Join(operation.Tags, ", "),
			})
		}
	}
	return index
}

// methods are the keys of operations in a document, in the order in which the index has them.
var methods = []string{"get", "post", "put", "patch", "delete", "head", "options"}

// indexHandler responds with the index in JSON. It redirects browsers to the docs.
func indexHandler(index Index) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept")
		if prefersHTML(r.Header.Get("Accept")) {
			w.Header().Set("Location", index.Docs) // relative, so that it stays below a path prefix
			w.WriteHeader(http.StatusFound)
			return
		}
		httpserver.JSON(w, http.StatusOK, index)
	}
}

// prefersHTML reports whether an Accept header names HTML before JSON, as those of browsers do.
func prefersHTML(accept string) bool {
	for media := range strings.SplitSeq(accept, ",") {
		switch media, _, _ := mime.ParseMediaType(media); media {
		case "text/html", "application/xhtml+xml":
			return true
		case "application/json":
			return false
		}
	}
	return false
}
