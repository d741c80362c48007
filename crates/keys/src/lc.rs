//! The few functions of AWS-LC that aws-lc-rs does not offer: raw X25519, ML-KEM with given randomness, SHA-2 whose
//! state can be copied without an allocation, scrypt, and RSA-OAEP with the numbers of an SSH key.
//!
//! The engine draws all randomness itself, so key generation and encapsulation must take theirs as an
//! argument. This is the only file of the project with `unsafe`.
#![expect(
    unsafe_code,
    reason = "calls into AWS-LC; every call states why it is sound"
)]

use crate::secret::{Secret, SecretBytes};
#[cfg(feature = "fips")]
use aws_lc_fips_sys as sys;
#[cfg(not(feature = "fips"))]
use aws_lc_sys as sys;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr;

/// The ML-KEM parameter sets of FIPS 203 that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MlKem {
    /// ML-KEM-768.
    K768,
    /// ML-KEM-1024.
    K1024,
}

impl MlKem {
    fn nid(self) -> i32 {
        match self {
            Self::K768 => sys::NID_MLKEM768,
            Self::K1024 => sys::NID_MLKEM1024,
        }
    }

    pub(crate) fn public_len(self) -> usize {
        match self {
            Self::K768 => 1184,
            Self::K1024 => 1568,
        }
    }

    pub(crate) fn secret_len(self) -> usize {
        match self {
            Self::K768 => 2400,
            Self::K1024 => 3168,
        }
    }

    pub(crate) fn ciphertext_len(self) -> usize {
        match self {
            Self::K768 => 1088,
            Self::K1024 => 1568,
        }
    }
}

/// AWS-LC refused its arguments, or has no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// Name and version of the library, as it says them itself.
pub(crate) fn version() -> &'static CStr {
    const OPENSSL_VERSION: i32 = 0;
    // SAFETY: for every number the function returns a constant string that ends with a zero byte.
    unsafe { CStr::from_ptr(sys::OpenSSL_version(OPENSSL_VERSION)) }
}

/// X25519 (RFC 7748, section 5). `None`: the result is all zero.
pub(crate) fn x25519(private: &[u8; 32], public: &[u8; 32]) -> Option<Secret<32>> {
    let mut good = 0;
    let shared = Secret::from_fn(|out| {
        // SAFETY: the three pointers are to 32 bytes each, as X25519 reads and writes; none overlap.
        good = unsafe { sys::X25519(out.as_mut_ptr(), private.as_ptr(), public.as_ptr()) };
    });
    (good == 1).then_some(shared)
}

/// The public key of a private key: X25519 with the base point 9.
pub(crate) fn x25519_public(private: &[u8; 32]) -> [u8; 32] {
    let mut public = [0; 32];
    // SAFETY: both pointers are to 32 bytes, as X25519_public_from_private writes and reads.
    unsafe { sys::X25519_public_from_private(public.as_mut_ptr(), private.as_ptr()) };
    public
}

/// SHA-256 (FIPS 180-4) in progress. Its state may stand for a key, so it is wiped.
#[derive(Clone)]
pub(crate) struct Sha256(sys::SHA256_CTX);

impl Drop for Sha256 {
    fn drop(&mut self) {
        // SAFETY: the pointer is to as many bytes as the length says, and every bit pattern is a state.
        unsafe { sys::OPENSSL_cleanse((&raw mut self.0).cast(), size_of::<sys::SHA256_CTX>()) };
    }
}

impl Sha256 {
    pub(crate) fn new() -> Self {
        let mut state = MaybeUninit::uninit();
        // SAFETY: SHA256_Init writes the whole state, and never fails.
        let state = unsafe {
            sys::SHA256_Init(state.as_mut_ptr());
            state.assume_init()
        };
        Self(state)
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        // SAFETY: the state was initialised; the pointer is to as many bytes as the length says, of which none are
        // read if it is zero.
        unsafe { sys::SHA256_Update(&raw mut self.0, bytes.as_ptr().cast(), bytes.len()) };
    }

    pub(crate) fn finish(mut self, out: &mut [u8; 32]) {
        // SAFETY: the state was initialised; SHA256_Final writes 32 bytes.
        unsafe { sys::SHA256_Final(out.as_mut_ptr(), &raw mut self.0) };
    }
}

/// Which of the two hashes that share one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wide {
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

/// SHA-384 or SHA-512 (FIPS 180-4) in progress. Its state may stand for a key, so it is wiped.
#[derive(Clone)]
pub(crate) struct Sha512 {
    which: Wide,
    state: sys::SHA512_CTX,
}

impl Drop for Sha512 {
    fn drop(&mut self) {
        // SAFETY: the pointer is to as many bytes as the length says, and every bit pattern is a state.
        unsafe {
            sys::OPENSSL_cleanse((&raw mut self.state).cast(), size_of::<sys::SHA512_CTX>());
        };
    }
}

impl Sha512 {
    pub(crate) fn new(which: Wide) -> Self {
        let mut state = MaybeUninit::uninit();
        // SAFETY: both functions write the whole state, and never fail.
        let state = unsafe {
            match which {
                Wide::Sha384 => sys::SHA384_Init(state.as_mut_ptr()),
                Wide::Sha512 => sys::SHA512_Init(state.as_mut_ptr()),
            };
            state.assume_init()
        };
        Self { which, state }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        // SAFETY: the state was initialised; the pointer is to as many bytes as the length says, of which none are
        // read if it is zero. AWS-LC's SHA384_Update is this function.
        unsafe { sys::SHA512_Update(&raw mut self.state, bytes.as_ptr().cast(), bytes.len()) };
    }

    /// Writes the first 48 bytes of `out`, or all.
    pub(crate) fn finish(mut self, out: &mut [u8; 64]) {
        // SAFETY: the state was initialised by the function of the same hash; each writes no more than 64 bytes.
        unsafe {
            match self.which {
                Wide::Sha384 => sys::SHA384_Final(out.as_mut_ptr(), &raw mut self.state),
                Wide::Sha512 => sys::SHA512_Final(out.as_mut_ptr(), &raw mut self.state),
            };
        };
    }
}

struct Context(*mut sys::EVP_PKEY_CTX);

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the pointer came from EVP_PKEY_CTX_new(_id), is owned here and freed once; null is allowed.
        unsafe { sys::EVP_PKEY_CTX_free(self.0) }
    }
}

struct Key(*mut sys::EVP_PKEY);

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the pointer came from AWS-LC, is owned here and freed once; null is allowed.
        unsafe { sys::EVP_PKEY_free(self.0) }
    }
}

/// ML-KEM.KeyGen_internal(d, z) (FIPS 203, section 6.1): public key and decapsulation key.
pub(crate) fn ml_kem_key_pair(
    kem: MlKem,
    seed: &Secret<64>,
) -> Result<(Vec<u8>, SecretBytes), Refused> {
    let mut public = vec![0; kem.public_len()];
    let mut secret = vec![0; kem.secret_len()];
    let (mut public_len, mut secret_len, mut seed_len) = (public.len(), secret.len(), 64);
    let mut key = Key(ptr::null_mut());
    // SAFETY: the context is checked by the calls that take it (null is refused); every buffer is passed with
    // its own length, and AWS-LC writes no more than that; `key` receives an owned pointer.
    let good = unsafe {
        let context = Context(sys::EVP_PKEY_CTX_new_id(sys::EVP_PKEY_KEM, ptr::null_mut()));
        !context.0.is_null()
            && sys::EVP_PKEY_CTX_kem_set_params(context.0, kem.nid()) == 1
            && sys::EVP_PKEY_keygen_init(context.0) == 1
            && sys::EVP_PKEY_keygen_deterministic(
                context.0,
                &raw mut key.0,
                seed.expose_secret().as_ptr(),
                &raw mut seed_len,
            ) == 1
            && sys::EVP_PKEY_get_raw_public_key(key.0, public.as_mut_ptr(), &raw mut public_len)
                == 1
            && sys::EVP_PKEY_get_raw_private_key(key.0, secret.as_mut_ptr(), &raw mut secret_len)
                == 1
    };
    let secret = SecretBytes::new(secret);
    let whole = public_len == kem.public_len() && secret_len == kem.secret_len();
    if good && whole {
        Ok((public, secret))
    } else {
        Err(Refused)
    }
}

/// ML-KEM.Encaps_internal(ek, m) (FIPS 203, section 6.2): ciphertext and shared secret.
pub(crate) fn ml_kem_encapsulate(
    kem: MlKem,
    public: &[u8],
    m: &Secret<32>,
) -> Result<(Vec<u8>, Secret<32>), Refused> {
    if public.len() != kem.public_len() {
        return Err(Refused);
    }
    let mut ciphertext = vec![0; kem.ciphertext_len()];
    let (mut ciphertext_len, mut shared_len, mut seed_len) = (ciphertext.len(), 32, 32);
    let mut good = false;
    let shared = Secret::from_fn(|out: &mut [u8; 32]| {
        // SAFETY: as in `ml_kem_key_pair`; the key and the context are owned and freed here, and null pointers
        // are refused before use.
        good = unsafe {
            let key = Key(sys::EVP_PKEY_kem_new_raw_public_key(
                kem.nid(),
                public.as_ptr(),
                public.len(),
            ));
            if key.0.is_null() {
                return;
            }
            let context = Context(sys::EVP_PKEY_CTX_new(key.0, ptr::null_mut()));
            !context.0.is_null()
                && sys::EVP_PKEY_encapsulate_deterministic(
                    context.0,
                    ciphertext.as_mut_ptr(),
                    &raw mut ciphertext_len,
                    out.as_mut_ptr(),
                    &raw mut shared_len,
                    m.expose_secret().as_ptr(),
                    &raw mut seed_len,
                ) == 1
        };
    });
    let whole = ciphertext_len == kem.ciphertext_len() && shared_len == 32;
    if good && whole {
        Ok((ciphertext, shared))
    } else {
        Err(Refused)
    }
}

/// ML-KEM.Decaps with the key of a seed: as [`ml_kem_key_pair`] and [`ml_kem_decapsulate`], the key never encoded.
pub(crate) fn ml_kem_decapsulate_seed(
    kem: MlKem,
    seed: &Secret<64>,
    ciphertext: &[u8],
) -> Result<Secret<32>, Refused> {
    if ciphertext.len() != kem.ciphertext_len() {
        return Err(Refused);
    }
    let (mut seed_len, mut shared_len) = (64, 32);
    let mut key = Key(ptr::null_mut());
    let mut good = false;
    let shared = Secret::from_fn(|out: &mut [u8; 32]| {
        // SAFETY: as in `ml_kem_key_pair`; the ciphertext is as long as the parameter set's, and 32 bytes are written.
        good = unsafe {
            let maker = Context(sys::EVP_PKEY_CTX_new_id(sys::EVP_PKEY_KEM, ptr::null_mut()));
            if maker.0.is_null()
                || sys::EVP_PKEY_CTX_kem_set_params(maker.0, kem.nid()) != 1
                || sys::EVP_PKEY_keygen_init(maker.0) != 1
                || sys::EVP_PKEY_keygen_deterministic(
                    maker.0,
                    &raw mut key.0,
                    seed.expose_secret().as_ptr(),
                    &raw mut seed_len,
                ) != 1
            {
                return;
            }
            let context = Context(sys::EVP_PKEY_CTX_new(key.0, ptr::null_mut()));
            !context.0.is_null()
                && sys::EVP_PKEY_decapsulate(
                    context.0,
                    out.as_mut_ptr(),
                    &raw mut shared_len,
                    ciphertext.as_ptr(),
                    ciphertext.len(),
                ) == 1
        };
    });
    if good && shared_len == 32 {
        Ok(shared)
    } else {
        Err(Refused)
    }
}

/// ML-KEM.Decaps (FIPS 203, section 7.3), with implicit rejection.
pub(crate) fn ml_kem_decapsulate(
    kem: MlKem,
    secret: &[u8],
    ciphertext: &[u8],
) -> Result<Secret<32>, Refused> {
    use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, ML_KEM_768, ML_KEM_1024};
    let algorithm = match kem {
        MlKem::K768 => &ML_KEM_768,
        MlKem::K1024 => &ML_KEM_1024,
    };
    let key = DecapsulationKey::new(algorithm, secret).map_err(|_| Refused)?;
    let shared = key
        .decapsulate(Ciphertext::from(ciphertext))
        .map_err(|_| Refused)?;
    Secret::from_slice(shared.as_ref()).ok_or(Refused)
}

/// scrypt (RFC 7914) with N = 2^`log_n`, r = 8, p = 1.
pub(crate) fn scrypt(passphrase: &[u8], salt: &[u8], log_n: u8) -> Result<Secret<32>, Refused> {
    let n = 1_u64.checked_shl(log_n.into()).ok_or(Refused)?;
    // 1 KiB for each of N, and some more; whoever calls bounds N.
    let memory = usize::try_from(n.saturating_add(16)).map_err(|_| Refused)?;
    let mut good = 0;
    let key = Secret::from_fn(|out: &mut [u8; 32]| {
        // SAFETY: every pointer is passed with its own length; 32 bytes are written.
        good = unsafe {
            sys::EVP_PBE_scrypt(
                passphrase.as_ptr().cast(),
                passphrase.len(),
                salt.as_ptr(),
                salt.len(),
                n,
                8,
                1,
                memory.saturating_mul(1024),
                out.as_mut_ptr(),
                out.len(),
            )
        };
    });
    if good == 1 { Ok(key) } else { Err(Refused) }
}

struct Number(*mut sys::BIGNUM);

impl Number {
    /// A big-endian number; null where there is no memory.
    fn new(bytes: &[u8]) -> Self {
        // SAFETY: the pointer is to as many bytes as the length says; a null result makes a new number.
        Self(unsafe { sys::BN_bin2bn(bytes.as_ptr(), bytes.len(), ptr::null_mut()) })
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        // SAFETY: the pointer came from BN_bin2bn, is owned here and freed once; null is allowed.
        unsafe { sys::BN_clear_free(self.0) }
    }
}

/// What an RSA private key is made of, big-endian.
pub(crate) struct RsaNumbers<'a> {
    pub(crate) modulus: &'a [u8],
    pub(crate) public: &'a [u8],
    pub(crate) private: &'a [u8],
}

impl RsaNumbers<'_> {
    fn key(&self) -> Option<Key> {
        let numbers = [self.modulus, self.public, self.private].map(Number::new);
        let [n, e, d] = &numbers;
        if numbers.iter().any(|number| number.0.is_null()) {
            return None;
        }
        // SAFETY: no pointer is null where it is used; the numbers are copied; the key takes a reference of its own to
        // the RSA object, and ours is given back.
        unsafe {
            let rsa = sys::RSA_new_private_key_no_crt(n.0, e.0, d.0);
            if rsa.is_null() {
                return None;
            }
            let key = Key(sys::EVP_PKEY_new());
            let good = !key.0.is_null() && sys::EVP_PKEY_set1_RSA(key.0, rsa) == 1;
            sys::RSA_free(rsa);
            good.then_some(key)
        }
    }
}

/// RSAES-OAEP-DECRYPT (RFC 8017, section 7.1.2) with SHA-256.
pub(crate) fn rsa_oaep_sha256_decrypt(
    numbers: &RsaNumbers<'_>,
    label: &[u8],
    ciphertext: &[u8],
) -> Result<SecretBytes, Refused> {
    let key = numbers.key().ok_or(Refused)?;
    let mut out = vec![0; numbers.modulus.len()];
    let mut length = out.len();
    // SAFETY: the context is checked for null before it is used; the label is a copy that AWS-LC owns once it was set
    // and that is freed here else; `length` is the room of `out`, and is set to what was written.
    let good = unsafe {
        let context = Context(sys::EVP_PKEY_CTX_new(key.0, ptr::null_mut()));
        !context.0.is_null()
            && sys::EVP_PKEY_decrypt_init(context.0) == 1
            && sys::EVP_PKEY_CTX_set_rsa_padding(context.0, sys::RSA_PKCS1_OAEP_PADDING) == 1
            && sys::EVP_PKEY_CTX_set_rsa_oaep_md(context.0, sys::EVP_sha256()) == 1
            && sys::EVP_PKEY_CTX_set_rsa_mgf1_md(context.0, sys::EVP_sha256()) == 1
            && set_label(&context, label)
            && sys::EVP_PKEY_decrypt(
                context.0,
                out.as_mut_ptr(),
                &raw mut length,
                ciphertext.as_ptr(),
                ciphertext.len(),
            ) == 1
    };
    let whole = SecretBytes::new(out);
    let plain = whole.expose_secret().get(..length).ok_or(Refused)?;
    if good {
        Ok(SecretBytes::from(plain))
    } else {
        Err(Refused)
    }
}

/// Sets the label of OAEP; an empty one is what a context has already.
fn set_label(context: &Context, label: &[u8]) -> bool {
    if label.is_empty() {
        return true;
    }
    // SAFETY: the copy has as many bytes as the length says; it is the context's when the call succeeds.
    unsafe {
        let copy = sys::OPENSSL_memdup(label.as_ptr().cast(), label.len());
        let good = !copy.is_null()
            && sys::EVP_PKEY_CTX_set0_rsa_oaep_label(context.0, copy.cast(), label.len()) == 1;
        if !good {
            sys::OPENSSL_free(copy);
        }
        good
    }
}
