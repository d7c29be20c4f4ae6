package informer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/internal/version"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// maxRefresh is the number of instances that a CSS refreshes at once.
const maxRefresh = 100

// RefreshInstances makes the CSS read container instances of one cluster from ECS again, and returns how many differed.
// Their changes arrive as all others do. Use it for changes that cause no event, such as those of attributes alone.
func (m *Informer) RefreshInstances(ctx context.Context, clusterARN string, arns []string) (corrected int, err error) {
	for chunk := range slices.Chunk(arns, maxRefresh) {
		n, err := m.refresh(ctx, models.RefreshRequest{ClusterARN: &clusterARN, ContainerInstanceARNs: chunk})
		if err != nil {
			return corrected, fmt.Errorf("refresh %d instances: %w", len(chunk), err)
		}
		corrected += n
	}
	return corrected, nil
}

// refresh sends one request to the endpoints in turn until one of them succeeds.
func (m *Informer) refresh(ctx context.Context, request models.RefreshRequest) (corrected int, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return 0, err
	}
	var failures []error
	for _, endpoint := range m.endpoints {
		result, err := m.post(ctx, endpoint+"/v1/instances/refresh", body)
		if err == nil {
			return int(conv.Value(result.Corrected)), nil
		}
		failures = append(failures, err)
	}
	return 0, errors.Join(failures...)
}

func (m *Informer) post(ctx context.Context, url string, body []byte) (result models.RefreshResult, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return result, err
	}
	request.Header.Set("User-Agent", version.UserAgent())
	m.token.Authorize(request)
	request.Header.Set("Content-Type", "application/json")
	response, err := m.client.Do(request)
	if err != nil {
		return result, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1000)) // as much as could be read
		return result, &statusError{status: response.StatusCode, text: strings.TrimSpace(string(text))}
	}
	return result, json.NewDecoder(response.Body).Decode(&result)
}
