package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/blox/blox/cluster-state-service/state"
)

// maxLimit is the maximum number of items of a page.
const maxLimit = 1000

// listParameters are the parameters of lists beside their filters.
var listParameters = []string{"limit", "nextToken", "maxStaleness", "wait", "entityVersion"}

// listQuery is the parsed query of a list.
type listQuery struct {
	filter state.Filter
	limit  int    // 0 means all
	after  string // key in etcd after which the page starts; empty for the first page

	maxStaleness time.Duration // maximum age of the state; 0 for the current one
	wait         time.Duration // how long to wait for a change after version; 0 does not wait
	version      int64
	selective    bool // filter depends on more than the cluster
}

// Bounds of the memory of a listQueries.
const (
	maxParsedQueries = 1000
	maxParsedLength  = 1000 // bytes
)

// listQueries holds the latest queries of a kind's lists, parsed, because clients repeat them. Parsed queries never
// change. It is safe for concurrent use.
type listQueries struct {
	mu     sync.RWMutex
	parsed map[string]listQuery
}

func (l *listQueries) get(rawQuery string) (q listQuery, found bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	q, found = l.parsed[rawQuery]
	return q, found
}

func (l *listQueries) put(rawQuery string, q listQuery) {
	if len(rawQuery) > maxParsedLength || q.after != "" || q.wait > 0 { // such tokens and versions rarely occur twice
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.parsed) == 0 || len(l.parsed) == maxParsedQueries {
		l.parsed = map[string]listQuery{}
	}
	l.parsed[rawQuery] = q
}

// listQuery returns the parsed query of a list.
func (k resource[T]) listQuery(rawQuery string) (listQuery, error) {
	if q, found := k.queries.get(rawQuery); found {
		return q, nil
	}
	q, err := k.parseListQuery(rawQuery)
	if err == nil {
		k.queries.put(rawQuery, q)
	}
	return q, err
}

// parseListQuery validates in v0.3's order: unsupported, repeated, status, cluster. Newer parameters follow.
func (k resource[T]) parseListQuery(rawQuery string) (q listQuery, err error) {
	query, err := parseQuery(rawQuery, append(slices.Clone(k.filters), listParameters...))
	if err != nil {
		return q, err
	}
	if q.filter, err = state.ParseFilter(k.kind, query.Get); err != nil {
		return q, err
	}
	if given := query.Get("limit"); given != "" {
		if q.limit, err = strconv.Atoi(given); err != nil || q.limit < 1 || q.limit > maxLimit {
			return q, &state.ParameterError{Parameter: "limit", Given: given, Accepted: "1 to 1000"}
		}
	}
	if given := query.Get("nextToken"); given != "" {
		if q.after, err = q.parseToken(k.kind, given); err != nil {
			return q, err
		}
	}
	q.selective = isSelective(k.filters, query)
	if q.maxStaleness, err = parseMaxStaleness(query.Get("maxStaleness")); err != nil {
		return q, err
	}
	q.wait, q.version, err = parseWait(query)
	return q, err
}

// parseQuery parses a query. It rejects unknown and repeated parameters.
func parseQuery(rawQuery string, known []string) (url.Values, error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", state.ErrUnsupportedFilter, err)
	}
	for name := range query {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%w: %.100q", state.ErrUnsupportedFilter, name)
		}
	}
	for name, values := range query {
		if len(values) > 1 {
			return nil, fmt.Errorf("%w: %s", state.ErrRepeatedFilter, name)
		}
	}
	return query, nil
}

// pageToken is the content of nextToken.
type pageToken struct {
	After string `json:"after"` // key of the last item of the page
	List  []byte `json:"list"`  // fingerprint of the list
}

// token returns the nextToken that continues the list after a key.
func (q listQuery) token(kind state.Kind, after string) string {
	return base64.RawURLEncoding.EncodeToString(encode(pageToken{after, q.fingerprint(kind)}))
}

// parseToken rejects tokens of other lists: with other filters, a page would skip items.
func (q listQuery) parseToken(kind state.Kind, s string) (after string, err error) {
	var token pageToken
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err == nil {
		err = json.Unmarshal(raw, &token)
	}
	if err != nil || string(token.List) != string(q.fingerprint(kind)) || token.After == "" {
		return "", fmt.Errorf("%w: %.100q", state.ErrInvalidNextToken, s)
	}
	return token.After, nil
}

// fingerprint identifies the list's kind and filters.
func (q listQuery) fingerprint(kind state.Kind) []byte {
	sum := sha256.Sum256(encode([]any{kind, q.filter}))
	return sum[:8]
}
