package conformance

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"
)

// protocol decodes bodies as encoding/json does, with numbers as json.Number and times as seconds.
type protocol interface {
	decode(body []byte) (any, error)
	decodeError(body []byte) (code, message string, err error)
}

func formValue(body []byte, name string) string {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	return form.Get(name)
}

// jsonProtocol is AWS JSON.
type jsonProtocol struct{}

func (jsonProtocol) decode(body []byte) (any, error) { return decodeJSON(body) }

func (jsonProtocol) decodeError(body []byte) (code, message string, err error) {
	value, err := decodeJSON(body)
	if err != nil {
		return "", "", err
	}
	return errorOf(value)
}

// errorOf returns the code and the message of a decoded error.
func errorOf(value any) (code, message string, err error) {
	members, _ := value.(map[string]any)
	code, _ = members["__type"].(string)
	message, _ = members["message"].(string)
	if code == "" {
		return "", "", errors.New("the error has no __type")
	}
	return code, message, nil
}

// cborProtocol is Smithy RPC v2 CBOR.
type cborProtocol struct{}

func (cborProtocol) decode(body []byte) (any, error) {
	value, err := cbor.Decode(body)
	if err != nil {
		return nil, fmt.Errorf("the body is not CBOR: %w", err)
	}
	return fromCBOR(value), nil
}

func (p cborProtocol) decodeError(body []byte) (code, message string, err error) {
	value, err := p.decode(body)
	if err != nil {
		return "", "", err
	}
	return errorOf(value)
}

func fromCBOR(value cbor.Value) any {
	switch v := value.(type) {
	case cbor.String:
		return string(v)
	case cbor.Bool:
		return bool(v)
	case cbor.Slice:
		return base64.StdEncoding.EncodeToString(v)
	case cbor.Uint:
		return json.Number(strconv.FormatUint(uint64(v), 10))
	case cbor.NegInt:
		return json.Number(strconv.FormatInt(-int64(v), 10))
	case cbor.Float32:
		return json.Number(strconv.FormatFloat(float64(v), 'g', -1, 32))
	case cbor.Float64:
		return json.Number(strconv.FormatFloat(float64(v), 'g', -1, 64))
	case *cbor.Tag:
		return fromCBOR(v.Value)
	case cbor.List:
		list := make([]any, len(v))
		for i := range v {
			list[i] = fromCBOR(v[i])
		}
		return list
	case cbor.Map:
		members := make(map[string]any, len(v))
		for name := range v {
			members[name] = fromCBOR(v[name])
		}
		return members
	}
	return nil
}

// xmlProtocol is the answers of the AWS query protocol.
type xmlProtocol struct{}

// element is an element of XML with its children.
type element struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Children []element `xml:",any"`
}

func (e element) child(name string) element {
	for _, c := range e.Children {
		if c.XMLName.Local == name {
			return c
		}
	}
	return element{}
}

func (e element) value() any {
	if len(e.Children) == 0 {
		return e.Text
	}
	members := map[string]any{}
	for _, c := range e.Children {
		members[c.XMLName.Local] = c.value()
	}
	return members
}

func (xmlProtocol) decode(body []byte) (any, error) {
	var root element
	if err := xml.NewDecoder(bytes.NewReader(body)).Decode(&root); err != nil {
		return nil, fmt.Errorf("the body is not XML: %w", err)
	}
	action, ok := strings.CutSuffix(root.XMLName.Local, "Response")
	if !ok {
		return nil, fmt.Errorf("the root is %q, not <action>Response", root.XMLName.Local)
	}
	return root.child(action + "Result").value(), nil
}

func (xmlProtocol) decodeError(body []byte) (code, message string, err error) {
	var root element
	if err := xml.Unmarshal(body, &root); err != nil {
		return "", "", fmt.Errorf("the body is not XML: %w", err)
	}
	e := root.child("Error")
	if code = e.child("Code").Text; code == "" {
		return "", "", errors.New("the error has no Code")
	}
	return code, e.child("Message").Text, nil
}
