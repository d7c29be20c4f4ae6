// Package httpservertest checks the errors of an API: their responses in both forms, and that its documents have them.
package httpservertest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/docs"
	"github.com/blox/blox/internal/httpserver"
)

// Case is an error and the response to it.
type Case struct {
	Err        error // as a handler returns it; nil for errors of the server itself
	Status     int
	Text       string
	RetryAfter string // the header; empty for none
	Details    httpserver.Details
}

// CheckTable checks the responses of table to the errors of cases, which are by code. Every response of table has to
// have a case.
func CheckTable(t *testing.T, table httpserver.ErrorTable, cases map[string]Case) {
	t.Helper()
	var have, want []string
	for _, response := range table.Responses {
		have = append(have, response.Code)
	}
	for code, c := range cases {
		if c.Err != nil {
			want = append(want, code)
		}
	}
	assert.ElementsMatch(t, want, have, "the codes of the table, and those of the cases")
	for code, c := range cases {
		if c.Err == nil {
			continue
		}
		t.Run(code, func(t *testing.T) {
			checkBothForms(t, code, c, func(accept string) *http.Response {
				r := httptest.NewRequest(http.MethodPost, "/v1/things", nil)
				r.Header.Set(httpserver.RequestIDHeader, "id-1")
				r.Header.Set("Accept", accept)
				w := httptest.NewRecorder()
				table.Respond(w, r, fmt.Errorf("an operation: %w", c.Err))
				return w.Result()
			})
		})
	}
}

// acceptsText are the Accept headers of clients of v0.3, which expect errors as text.
var acceptsText = []string{"", "*/*", "application/json"}

// checkBothForms checks the response that send returns for an Accept header.
func checkBothForms(t *testing.T, code string, c Case, send func(accept string) *http.Response) {
	t.Helper()
	check := func(accept string) (header http.Header, text string) {
		answer := send(accept)
		defer answer.Body.Close()
		assert.Equal(t, c.Status, answer.StatusCode)
		assert.Equal(t, c.RetryAfter, answer.Header.Get("Retry-After"))
		return answer.Header, read(t, answer)
	}
	for _, accept := range acceptsText {
		header, text := check(accept)
		assert.Equal(t, c.Text+"\n", text)
		assert.Equal(t, "text/plain; charset=utf-8", header.Get("Content-Type"))
	}
	header, text := check(httpserver.ContentTypeProblem)
	assert.Equal(t, httpserver.ContentTypeProblem, header.Get("Content-Type"))
	var p struct {
		Type, Title, Code, Detail, Hint, RequestID string
		Status                                     int
		httpserver.Details
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&p), text)
	assert.Equal(t, "about:blank", p.Type)
	assert.Equal(t, http.StatusText(c.Status), p.Title)
	assert.Equal(t, c.Status, p.Status)
	assert.Equal(t, code, p.Code)
	assert.NotEmpty(t, p.Detail)
	if code != httpserver.CodeNotFound && code != httpserver.CodeMethodNotAllowed { // their texts are net/http's
		assert.Equal(t, c.Text, p.Detail)
	}
	assert.True(t, p.Hint == "" || strings.HasSuffix(p.Hint, "."), "the hint %q is no sentence", p.Hint)
	assert.NotEmpty(t, p.RequestID)
	assert.Equal(t, c.Details, p.Details)
}

var sourceCode = regexp.MustCompile(`\bCode(?:\w*\s+=|:)\s+"([A-Z]\w+)"`)

// Reference is a reference page of errors.
type Reference struct {
	Cases     map[string]Case
	Responses []httpserver.ErrorResponse // with the hints
	Meanings  map[string]string          // of the codes of Responses
	Page      string
}

// serverErrors are the meaning and the hint of each error that the server itself responds with.
var serverErrors = map[string][2]string{
	access.CodeUnauthenticated: {
		"The request has no valid token and no client certificate.", "Send a token or a certificate of the access file.",
	},
	access.CodeForbidden: {
		"The role of the client does not include the operation.", "Use credentials with a higher role.",
	},
	access.CodeReadOnly: {
		"The address of `--read-only-bind` serves GET and HEAD only.", "Send changes to the address of `--bind`.",
	},
	httpserver.CodeNotFound: {"The path does not exist.", "`GET /v1/swagger.json` lists the paths."},
	httpserver.CodeMethodNotAllowed: {
		"The path does not support the method.", "The header `Allow` lists the supported methods.",
	},
	httpserver.CodeCrossOrigin:  {"A page of another site sent a change.", "Use the page of the service itself."},
	httpserver.CodeBodyTooLarge: {"The body is larger than 1 MiB.", ""},
	httpserver.CodeBodyTooSlow:  {"The body did not arrive in time.", "Retry over a faster connection."},
	httpserver.CodeInternal: {
		"An unexpected error occurred.", "Search the service's log for the request's id.",
	},
}

// CheckDocumented checks the block `errors` of the page, and that the sources of the packages in folders have exactly
// the codes of the cases.
func CheckDocumented(t *testing.T, r Reference, folders ...string) {
	t.Helper()
	table := docs.Table{Header: []string{"code", "status", "`Retry-After`", "meaning", "what to do"}}
	inCases, found := map[string]bool{}, map[string]bool{}
	for _, code := range slices.Sorted(maps.Keys(r.Cases)) {
		inCases[code] = true
		c, row := r.Cases[code], serverErrors[code]
		if c.Err != nil {
			row[0] = r.Meanings[code]
			for _, response := range r.Responses {
				if response.Code == code {
					row[1] = docs.Plain(response.Hint)
				}
			}
		}
		assert.NotEmpty(t, row[0], "describe %s", code)
		table.Add(docs.Code(code), strconv.Itoa(c.Status), c.RetryAfter, row[0], row[1])
	}
	docs.Check(t, r.Page, "errors", table.String())
	for _, folder := range folders {
		for _, code := range codesIn(t, folder) {
			found[code] = true
		}
	}
	assert.Equal(t, inCases, found, "the codes of the cases, and those in %v", folders)
}

func codesIn(t *testing.T, folder string) (codes []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, folder)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range sourceCode.FindAllStringSubmatch(string(text), -1) {
			codes = append(codes, match[1])
		}
	}
	return codes
}
