package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/blox/blox/cluster-state-service/state"
)

// maxLimit is the most items that a page may be asked to have.
const maxLimit = 1000

// listQuery is what a list is asked for.
type listQuery struct {
	filter state.Filter
	limit  int    // 0 for all
	after  string // the key in etcd that the page follows; empty for the first
}

// parseListQuery judges the query in v0.3's order, unsupported, repeated, status, cluster, and then what v0.3 did not know.
func (k kind[T]) parseListQuery(rawQuery string) (q listQuery, err error) {
	query, err := parseKnown(rawQuery, append(slices.Clone(k.filters), "limit", "nextToken"))
	if err != nil {
		return q, err
	}
	if q.filter, err = state.ParseFilter(k.kind, query.Get); err != nil {
		return q, err
	}
	if given := query.Get("limit"); given != "" {
		if q.limit, err = strconv.Atoi(given); err != nil || q.limit < 1 || q.limit > maxLimit {
			return q, fmt.Errorf("%w: %.100q", state.ErrInvalidLimit, given)
		}
	}
	if given := query.Get("nextToken"); given != "" {
		q.after, err = q.parseToken(k.kind, given)
	}
	return q, err
}

// parseKnown reads a query whose parameters are all known and given once.
func parseKnown(rawQuery string, known []string) (url.Values, error) {
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

// pageToken is what nextToken holds: where the page ended, and which list it was of.
type pageToken struct {
	After string `json:"after"`
	Of    []byte `json:"of"`
}

// token continues the list after the key.
func (q listQuery) token(kind state.Kind, after string) string {
	return base64.RawURLEncoding.EncodeToString(encode(pageToken{after, q.sum(kind)}))
}

// parseToken refuses tokens of other lists: other filters would skip what these show.
func (q listQuery) parseToken(kind state.Kind, s string) (after string, err error) {
	var token pageToken
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err == nil {
		err = json.Unmarshal(raw, &token)
	}
	if err != nil || string(token.Of) != string(q.sum(kind)) || token.After == "" {
		return "", fmt.Errorf("%w: %.100q", state.ErrInvalidNextToken, s)
	}
	return token.After, nil
}

// sum stands for the list's kind and filters.
func (q listQuery) sum(kind state.Kind) []byte {
	sum := sha256.Sum256(encode([]any{kind, q.filter}))
	return sum[:8]
}
