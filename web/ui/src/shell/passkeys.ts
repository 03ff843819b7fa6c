// Passkeys: what the browser's WebAuthn takes and gives, as the API writes it (bytes in base64url).
import type { Challenge, MadePasskey, NewPasskeyChallenge, SignedChallenge } from '../api/types';

/** How long a person may take. */
const TIMEOUT_MS = 120_000;

export const has_passkeys = (): boolean => 'PublicKeyCredential' in window;

function to_text(bytes: ArrayBuffer): string {
  const letters = String.fromCharCode(...new Uint8Array(bytes));
  return btoa(letters).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function to_bytes(text: string): Uint8Array<ArrayBuffer> {
  const letters = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
}

/** Has a device sign a challenge; whoever holds the device decides which key. */
export async function sign(asked: Challenge): Promise<SignedChallenge> {
  const publicKey = {
    challenge: to_bytes(asked.challenge),
    rpId: asked.host,
    userVerification: 'required',
    timeout: TIMEOUT_MS,
  } as const;
  const found = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential;
  const answer = found.response as AuthenticatorAssertionResponse;
  return {
    id: to_text(found.rawId),
    authenticator_data: to_text(answer.authenticatorData),
    client_data: to_text(answer.clientDataJSON),
    signature: to_text(answer.signature),
  };
}

/** Has a device make a key. */
export async function make(asked: NewPasskeyChallenge, name: string): Promise<Omit<MadePasskey, 'current'>> {
  const publicKey: PublicKeyCredentialCreationOptions = {
    challenge: to_bytes(asked.challenge),
    rp: { id: asked.host, name: 'Logwarden' },
    user: { id: to_bytes(asked.handle), name: asked.name, displayName: asked.name },
    pubKeyCredParams: [{ type: 'public-key', alg: -7 }, { type: 'public-key', alg: -8 }],
    excludeCredentials: asked.known.map((id) => ({ type: 'public-key', id: to_bytes(id) })),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    attestation: 'none',
    timeout: TIMEOUT_MS,
  };
  const made = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential;
  const answer = made.response as AuthenticatorAttestationResponse;
  return {
    name,
    id: to_text(made.rawId),
    public_key: to_text(answer.getPublicKey() ?? new ArrayBuffer(0)),
    authenticator_data: to_text(answer.getAuthenticatorData()),
    client_data: to_text(answer.clientDataJSON),
  };
}

/** In words for a person, when the browser or the person did not want to. */
export function refusal(cause: unknown): string | null {
  if (!(cause instanceof DOMException)) return null;
  if (cause.name === 'InvalidStateError') return 'This device has a passkey for you already.';
  if (cause.name === 'SecurityError') return 'Passkeys do not work at this address; they belong to a name.';
  return 'The device gave no passkey.';
}
