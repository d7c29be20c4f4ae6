package reconcile

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/arn"
)

// envelope is an EventBridge event. Records read from ECS are stored in the same form as events.
type envelope struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     any      `json:"detail"`
}

// encode wraps the output of Describe for an entity in an envelope. extra holds members that the output lacks.
func encode(detailType, entityARN string, detail any, extra map[string]any, now time.Time) ([]byte, error) {
	a, err := arn.Parse(entityARN)
	if err != nil {
		return nil, err
	}
	members, _ := jsonValue(reflect.ValueOf(detail)).(map[string]any)
	maps.Copy(members, extra)
	body, err := json.Marshal(envelope{
		Version: "0", DetailType: detailType, Source: "aws.ecs", Account: a.Account, Time: state.Timestamp(now),
		Region: a.Region, Resources: []string{entityARN}, Detail: members,
	})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", entityARN, err)
	}
	return body, nil
}

// jsonValue converts the SDK's structs to the API's JSON: the SDK's field names are the API's members with a capital
// first letter. It works by reflection so that members added to the API are stored too. It omits members that the API
// did not send, and formats times as events do.
func jsonValue(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		if at, ok := v.Interface().(*time.Time); ok {
			return state.Timestamp(*at)
		}
		return jsonValue(v.Elem())
	case reflect.Struct:
		members := map[string]any{}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() || isAbsent(v.Field(i)) {
				continue
			}
			if value := jsonValue(v.Field(i)); value != nil {
				members[strings.ToLower(field.Name[:1])+field.Name[1:]] = value
			}
		}
		return members
	case reflect.Slice:
		items := make([]any, v.Len())
		for i := range items {
			items[i] = jsonValue(v.Index(i))
		}
		return items
	}
	return v.Interface()
}

// isAbsent reports whether the API did not send a member: it is nil, or the empty string of an enumeration.
func isAbsent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	}
	return false
}
