package keyring

// MAC is the HMAC of a record's version under the key with these 32 bytes.
func MAC(secret []byte, expires int64, data []byte, fields ...string) []byte {
	return derive(secret).mac(nil, expires, data, fields)
}
